"""The plan of a k6 run as data: scenarios, virtual users, requests, thresholds. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from importlib import resources
from typing import ClassVar

from dfaas_lab.k6.thresholds import Thresholds, rules_of
from dfaas_lab.load import Function, Load, Share, format_duration
from dfaas_lab.redaction import masked
from dfaas_lab.secret import SecretBytes
from dfaas_lab.secret_values import NO_SECRETS, SecretValues

# A request's time limit must end before k6's graceful stop does, or the slowest requests vanish.
_GRACE_ABOVE_TIMEOUT_S = 2.0
# What k6 needs beside the load itself: start, set-up of its VUs, flush of its outputs.
_RESERVE_S = 20.0
_SETUP_S_PER_VU = 0.005
# A VU that k6 makes during the load costs a dropped iteration, a ready one 0.5 ms and 0.15 MB (0.25
# MB when it has sent a request; measured with k6 1.1.0). It also opens a connection of its own, for
# k6 takes its VUs in turn. So up to 400 are ready for whatever the time limit allows, up to 500 for
# a latency of 2 s, and any number for 1 s, or for twice the latency that was seen before.
_CHEAP_VUS = 400
_READY_VUS, _READY_FOR_S = 500, 2.0
_ALWAYS_READY_FOR_S = 1.0
_LATENCY_MARGIN = 2.0
_SILENT_S = 5
_BYTES_PER_VU = 1_000_000
_BYTES_PER_REQUEST = 1_600  # 14 lines of samples.csv

SYSTEM_TAGS = ("scenario", "status", "error_code", "expected_response", "method", "vu", "iter")
"""k6's own tags that the frames need."""

_TREND_STATS = ("avg", "min", "med", "max", "p(90)", "p(95)", "p(99)", "count")


@dataclass(frozen=True)
class Scenario:
    """One function's part of the plan.

    Args:
        id: k6's name for it.
        share: The function and its rate.
        url: Where it is called.
        duration_s: How long the load lasts.
        cheap_vus: How many VUs may be made ready whatever they are needed for.
        latency_s: For how long a request kept its VU before, in seconds; 0 where that is not known.
    """

    id: str
    share: Share
    url: str
    duration_s: float
    cheap_vus: int = _CHEAP_VUS
    latency_s: float = 0.0

    @property
    def graceful_stop_s(self) -> float:
        """How long k6 waits for requests that are under way at the end, in seconds."""
        return self.share.function.timeout_s + _GRACE_ABOVE_TIMEOUT_S

    @property
    def max_vus(self) -> int:
        """VUs for the case that every request takes all of its time limit (Little's law)."""
        at_once = math.ceil(self.share.rate_rps * self.share.function.timeout_s) + 2
        return min(at_once, self.planned)

    @property
    def ready_vus(self) -> int:
        """VUs made before the start."""
        rate_rps = self.share.rate_rps
        wanted = max(
            math.ceil(rate_rps * _ALWAYS_READY_FOR_S),
            min(math.ceil(rate_rps * _READY_FOR_S), _READY_VUS),
            math.ceil(rate_rps * _LATENCY_MARGIN * self.latency_s),
            self.cheap_vus,
        )
        return min(self.max_vus, wanted)

    def options(self) -> dict[str, object]:
        """The scenario in k6's form."""
        return {
            **self._arrivals(),
            "preAllocatedVUs": self.ready_vus,
            "maxVUs": self.max_vus,
            "gracefulStop": format_duration(self.graceful_stop_s),
            "exec": "measure",
            "env": {"FN": self.id},
        }

    @property
    def planned(self) -> int:
        """How many requests are planned."""
        return self.share.planned(self.duration_s)

    def _arrivals(self) -> dict[str, object]:
        """The executor: it starts exactly what is planned, each request at its moment.

        k6 starts a request where the area under the rate reaches a whole number. The first stage
        is just long enough for the first one. The load ends half an interval after the last one,
        or a race would decide whether one more is sent. In the silent stage k6 starts or drops
        what it is late with; it waits for nothing else there. (``constant-arrival-rate`` forgets
        such requests without a word.)
        """
        rate = self.share.rate
        at_once = rate.denominator * 1_000_000 + 1
        lasts_ns = round((self.planned - Fraction(1, 2)) / rate * 1_000_000_000)
        stages = [
            ("1us", at_once),
            ("0s", rate.numerator),
            (f"{lasts_ns}ns", rate.numerator),
            ("0s", 0),
            (f"{_SILENT_S}s", 0),
        ]
        return {
            "executor": "ramping-arrival-rate",
            "startRate": at_once,
            "timeUnit": f"{rate.denominator}s",
            "stages": [{"duration": lasts, "target": target} for lasts, target in stages],
        }


@dataclass(frozen=True)
class K6Plan:
    """A load on one target, as k6 gets it.

    Args:
        load: What is asked.
        gateway: The gateway's URL.
        thresholds: By function, k6's expressions on ``http_req_duration``, or by metric.
        served_by_header: The answers' header that names the node which served the request.
        latencies_s: By function, for how long a request kept its VU before, in seconds: so many VUs
            are ready. It changes nothing else, and is in no manifest.
    """

    load: Load
    gateway: str
    thresholds: Thresholds | None = None
    served_by_header: str = "Dfaas-Node-Id"
    latencies_s: Mapping[str, float] = field(default_factory=dict, compare=False)

    is_builtin: ClassVar[bool] = True
    script_name: ClassVar[str] = "script.js"
    options: ClassVar[str] = ""
    folder: ClassVar[str] = ""
    secrets: ClassVar[SecretValues] = NO_SECRETS

    def __post_init__(self) -> None:
        rules_of(self.thresholds, self.load.rates)  # refuses what k6 would not take

    @cached_property
    def scenarios(self) -> tuple[Scenario, ...]:
        """One for each function that takes load."""
        active = [share for share in self.load if share.rate_rps]
        scenarios = [
            Scenario(f"f{index}", share, self._url(share.function), self.load.duration_s)
            for index, share in enumerate(active)
        ]
        cheap = _shared(_CHEAP_VUS, [scenario.max_vus for scenario in scenarios])
        return tuple(
            replace(
                scenario,
                cheap_vus=vus,
                latency_s=self.latencies_s.get(scenario.share.function.name, 0.0),
            )
            for scenario, vus in zip(scenarios, cheap, strict=True)
        )

    @property
    def duration_s(self) -> float:
        """How long an iteration puts load on, in seconds."""
        return self.load.duration_s

    @property
    def functions(self) -> dict[str, str]:
        """Function names by scenario id."""
        return {scenario.id: scenario.share.function.name for scenario in self.scenarios}

    @property
    def graceful_stop_s(self) -> float:
        """The longest graceful stop of all scenarios, in seconds."""
        return max(scenario.graceful_stop_s for scenario in self.scenarios)

    @property
    def max_vus(self) -> int:
        """The most VUs that k6 may make."""
        return sum(scenario.max_vus for scenario in self.scenarios)

    @property
    def time_limit_s(self) -> float:
        """When an iteration that has not ended is stuck: the default of ``Limits.timeout``."""
        return (
            self.load.duration_s
            + self.graceful_stop_s
            + _RESERVE_S
            + self.max_vus * _SETUP_S_PER_VU
        )

    @property
    def memory_bytes(self) -> int:
        """What k6 may need on the generator, roughly, when all VUs are made."""
        bodies = sum(len(s.share.function.body_bytes()) for s in self.scenarios)
        return 40_000_000 + self.max_vus * _BYTES_PER_VU + 3 * bodies

    @property
    def data_bytes(self) -> int:
        """What k6 writes in the workspace in one iteration, roughly."""
        return int(sum(s.share.rate_rps for s in self.scenarios) * self.load.duration_s) * (
            _BYTES_PER_REQUEST
        )

    def lasting(self, duration_s: float) -> K6Plan:
        """The same plan for another duration, in seconds, without thresholds: a warm-up."""
        return replace(self, load=replace(self.load, duration_s=duration_s), thresholds=None)

    def expecting(self, latencies_s: Mapping[str, float]) -> K6Plan:
        """The same with VUs ready for latencies that were seen before, by function."""
        return replace(self, latencies_s=dict(latencies_s))

    def knowing(self, environment: bytes) -> K6Plan:  # noqa: ARG002 - of a script there is one
        """The same: a load has no environment."""
        return self

    def files(self) -> dict[str, bytes]:
        """The files of a workspace: the plan, the bodies and the static script."""
        return {
            "plan.json": SecretBytes(json_bytes(self._plan(redacted=False))),
            "bodies.json": json_bytes([_body(scenario) for scenario in self.scenarios]),
            "script.js": script(),
        }

    def stored(self, suffix: str = "") -> dict[str, bytes]:
        """What is kept of it in the store: the static script, and the plan without secrets."""
        return {"script.js": script(), f"plan{suffix}.json": self.redacted()}

    def redacted(self) -> bytes:
        """``plan.json`` without secrets: what may be stored."""
        return json_bytes(self._plan(redacted=True))

    @property
    def digest(self) -> str:
        """SHA-256 over all files: equal digests measure the same, but for hidden values.

        Those are left out, for a hash of a short one could be guessed.
        """
        digest = hashlib.sha256()
        for name, content in sorted((self.files() | {"plan.json": self.redacted()}).items()):
            digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
        return digest.hexdigest()

    def _url(self, function: Function) -> str:
        return f"{self.gateway.rstrip('/')}{function.route}"

    def _plan(self, *, redacted: bool) -> dict[str, object]:
        return {
            "format": 1,
            "served_by_header": _canonical(self.served_by_header),
            "options": {
                "scenarios": {scenario.id: scenario.options() for scenario in self.scenarios},
                "thresholds": self._thresholds(),
                "systemTags": list(SYSTEM_TAGS),
                "summaryTrendStats": list(_TREND_STATS),
                "discardResponseBodies": True,
                "maxRedirects": 0,
            },
            "requests": {
                scenario.id: _request(scenario, index, redacted)
                for index, scenario in enumerate(self.scenarios)
            },
        }

    def _thresholds(self) -> dict[str, list[str]]:
        asked = rules_of(self.thresholds, self.load.rates)
        return {
            f"{metric}{{scenario:{scenario.id}}}": rules
            for scenario in self.scenarios
            for metric, rules in asked.get(scenario.share.function.name, {}).items()
        }


def _shared(vus: int, wanted: Sequence[int]) -> list[int]:
    """Share VUs out: whoever wants few gets all of them, the others the same each.

    >>> _shared(400, [12, 60, 500, 900])
    [12, 60, 164, 164]
    """
    shares = [0] * len(wanted)
    for place, index in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        shares[index] = min(wanted[index], vus // (len(wanted) - place))
        vus -= shares[index]
    return shares


def script() -> bytes:
    """The static script that reads ``plan.json``."""
    return resources.files("dfaas_lab.k6").joinpath("on_generator", "script.js").read_bytes()


def _request(scenario: Scenario, index: int, redacted: bool) -> dict[str, object]:
    function = scenario.share.function
    return {
        "function": function.name,
        "method": function.method,
        "url": masked(scenario.url) if redacted else scenario.url,
        "headers": function.shown_headers() if redacted else dict(function.headers),
        "timeout_ms": round(function.timeout_s * 1000),
        "body": index if function.body_bytes() else None,
    }


def _body(scenario: Scenario) -> dict[str, str]:
    content = scenario.share.function.body_bytes()
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def _canonical(header: str) -> str:
    """A header's name as Go, and so k6, writes it: ``Dfaas-Node-Id``."""
    return "-".join(part.capitalize() for part in header.split("-"))


def json_bytes(value: object) -> bytes:
    """JSON that is the same for equal values."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True).encode()
