"""What a run would cost, from its plan alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from dfaas_lab.k6.plan import K6Plan
from dfaas_lab.load import format_duration

# What an iteration costs beside the load: k6's start, transfer, parsing, storing.
_OVERHEAD_S = 0.3


@dataclass(frozen=True)
class Preview:
    """The cost of a run: VUs at most, memory on the generator, data per iteration, time in all.

    ``longest_s`` is reached where requests are under way until the graceful stop ends.
    """

    iterations: int
    requests: int
    vus: int
    max_vus: int
    memory_bytes: int
    data_bytes: int
    expected_s: float
    longest_s: float

    @classmethod
    def of(cls, plan: K6Plan, *, iterations: int, rest_s: float = 0.0) -> Preview:
        """Reckon what a plan costs.

        Args:
            plan: What is to be measured.
            iterations: How often.
            rest_s: The pause between two iterations, in seconds.
        """
        once = plan.load.duration_s + _OVERHEAD_S
        rests = (iterations - 1) * rest_s
        rate_rps = sum(plan.load.rates.values())
        return cls(
            iterations=iterations,
            requests=round(rate_rps * plan.load.duration_s) * iterations,
            vus=sum(scenario.ready_vus for scenario in plan.scenarios),
            max_vus=plan.max_vus,
            memory_bytes=plan.memory_bytes,
            data_bytes=plan.data_bytes,
            expected_s=iterations * once + rests,
            longest_s=iterations * (once + plan.graceful_stop_s) + rests,
        )

    def __str__(self) -> str:
        return (
            f"{self.requests} requests in {self.iterations} iterations, about "
            f"{format_duration(round(self.expected_s))} (at most "
            f"{format_duration(round(self.longest_s))}); {self.vus} to {self.max_vus} VUs, up to "
            f"{self.memory_bytes / 1e6:.0f} MB of memory and {self.data_bytes / 1e6:.1f} MB of "
            "samples an iteration on the generator"
        )
