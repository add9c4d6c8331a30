"""The requirements of a script, from ``k6 inspect``. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dfaas_lab.errors import ConfigError
from dfaas_lab.load import seconds

# k6's own defaults for setup() and teardown().
_SETUP_S = 60.0
_TAG = re.compile(r"[a-z_]+")


@dataclass(frozen=True)
class Requirements:
    """What k6 says of a script: its longest duration in seconds, the most VUs, its system tags."""

    duration_s: float
    max_vus: int
    system_tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, inspected: bytes) -> Requirements:
        """Read what ``k6 inspect --execution-requirements`` printed.

        Raises:
            ValueError: It is not that.
            ConfigError: It is a script that k6 cannot run by itself.
        """
        found = json.loads(inspected)
        _refuse_external(found.get("scenarios") or {})
        outside = sum(
            seconds(found[name], what=name) if found.get(name) else _SETUP_S
            for name in ("setupTimeout", "teardownTimeout")
        )
        return cls(
            seconds(str(found["totalDuration"]), what="totalDuration") + outside,
            int(found["maxVUs"]),
            tuple(tag for tag in found.get("systemTags") or () if _TAG.fullmatch(tag)),
        )


def _refuse_external(scenarios: Mapping[str, Mapping[str, object]]) -> None:
    for name, scenario in scenarios.items():
        if scenario.get("executor") == "externally-controlled":
            raise ConfigError(
                f"scenario {name}: externally-controlled is steered through k6's REST API, which "
                "is closed here; k6 v2 has it no more",
                hint="Use another executor: ramping-vus, ramping-arrival-rate.",
            )
