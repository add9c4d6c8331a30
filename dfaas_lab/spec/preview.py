"""Estimates what a run costs, from its plan alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dfaas_lab.display import words
from dfaas_lab.errors import ConfigError
from dfaas_lab.k6.plan import K6Plan
from dfaas_lab.load import format_duration

if TYPE_CHECKING:
    from dfaas_lab.spec.run_spec import RunSpec

# What an iteration costs beside the load: k6's start, transfer, parsing, storing.
_OVERHEAD_S = 0.3
# What k6 takes for certain: itself, and each VU that is made before the start (measured: 150 kB).
_K6_BYTES = 40_000_000
_READY_VU_BYTES = 150_000


@dataclass(frozen=True)
class Preview:
    """The cost of a run: VUs at most, memory on the generator, data per iteration, time in all.

    ``memory_bytes`` is needed where all VUs are made, ``least_memory_bytes`` in any case;
    ``warmup_bytes`` is the data of the warm-up; ``longest_s`` is reached where requests are under
    way until the graceful stop ends; ``ends_at`` is when it would end, begun now.
    """

    iterations: int
    requests: int
    vus: int
    max_vus: int
    memory_bytes: int
    least_memory_bytes: int
    data_bytes: int
    warmup_bytes: int
    expected_s: float
    longest_s: float
    ends_at: datetime

    @classmethod
    def of(cls, spec: RunSpec, plan: K6Plan, *, now: datetime) -> Preview:
        """Reckon what a run of a plan costs that begins now."""
        iterations, rest_s, warmup_s = spec.iterations, spec.rest_s, spec.warmup_s
        once = plan.load.duration_s + _OVERHEAD_S
        warm_s = warmup_s + _OVERHEAD_S if warmup_s else 0.0
        # After the warm-up there is a rest, too.
        between_s = (iterations - (0 if warmup_s else 1)) * rest_s + warm_s
        ready = sum(scenario.ready_vus for scenario in plan.scenarios)
        expected_s = iterations * once + between_s
        last_s = plan.graceful_stop_s * (iterations + bool(warmup_s))
        rate_rps = sum(plan.load.rates.values())
        return cls(
            iterations=iterations,
            requests=round(rate_rps * plan.load.duration_s) * iterations,
            vus=ready,
            max_vus=plan.max_vus,
            memory_bytes=plan.memory_bytes,
            least_memory_bytes=_K6_BYTES + ready * _READY_VU_BYTES,
            data_bytes=plan.data_bytes,
            warmup_bytes=plan.lasting(warmup_s).data_bytes if warmup_s else 0,
            expected_s=expected_s,
            longest_s=expected_s + last_s,
            ends_at=now + timedelta(seconds=expected_s),
        )

    def refuse_impossible(
        self, *, memory_bytes: int | None, disk_bytes: int | None, together: bool = False
    ) -> None:
        """Raise where a generator cannot do it; see :meth:`RunSpec.preview`.

        ``together`` says that all iterations lie there at once: nobody fetches them.
        """
        if memory_bytes is not None and self.least_memory_bytes > memory_bytes:
            raise ConfigError(
                f"{self.vus} VUs need at least {words.size(self.least_memory_bytes)} of memory; "
                f"the generator has {words.size(memory_bytes)}",
                hint="Give a lower rate, or a generator with more memory.",
            )
        what, most = self._most_data(together)
        if disk_bytes is not None and most > disk_bytes:
            raise ConfigError(
                f"{what} about {words.size(most)} of samples; the "
                f"generator has {words.size(disk_bytes)} free",
                hint="Make room there, or give a shorter duration, a lower rate, or "
                "Generator(workspace_root=...).",
            )

    def _most_data(self, together: bool) -> tuple[str, int]:
        """What lies on the generator at once, in words and bytes."""
        if together and (self.iterations > 1 or self.warmup_bytes):
            warm = "the warm-up and " if self.warmup_bytes else ""
            return (
                f"{warm}{self.iterations} iterations write",
                self.warmup_bytes + self.iterations * self.data_bytes,
            )
        if self.warmup_bytes > self.data_bytes:
            return "the warm-up writes", self.warmup_bytes
        return "an iteration writes", self.data_bytes

    def __str__(self) -> str:
        return (
            f"{self.requests} requests in {self.iterations} iterations, about "
            f"{format_duration(round(self.expected_s))} (at most "
            f"{format_duration(round(self.longest_s))}), until "
            f"{self.ends_at:%Y-%m-%d %H:%M:%S %Z}; {self.vus} to {self.max_vus} VUs, up to "
            f"{words.size(self.memory_bytes)} of memory and {words.size(self.data_bytes)} of "
            "samples an iteration on the generator"
        )
