"""The campaign of a lab file, as arguments of ``lab.campaign()``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from dfaas_lab.campaign.cooldown import Cooldown
from dfaas_lab.campaign.overload import Overload
from dfaas_lab.errors import ConfigError
from dfaas_lab.labfile.schema import CampaignKeys
from dfaas_lab.labfile.source import Source
from dfaas_lab.labfile.values import TargetEntry
from dfaas_lab.load import seconds
from dfaas_lab.load.plan import Plan
from dfaas_lab.load.rates import Linear, rates_of

_AT = "campaign"


def campaign_of(
    source: Source, keys: CampaignKeys, targets: Sequence[TargetEntry]
) -> dict[str, Any]:
    """Return the arguments, checked; what cannot be is said with its place.

    Without functions they are all that every target of the campaign has.
    """
    chosen = [one for one in targets if keys.targets is None or one.name in keys.targets]
    common = set.intersection(*({f.name for f in one.functions} for one in chosen or targets))
    names = keys.functions if keys.functions is not None else sorted(common)
    given = Linear() if keys.rates is None else keys.rates
    rates = source.at((_AT, "rates"), partial(rates_of, given))
    low, high = source.at((_AT, "sizes"), partial(_pair, keys.sizes))
    source.at((_AT, "duration"), partial(seconds, keys.duration))
    return {
        **keys.model_dump(exclude={"functions", "rates", "sizes"}),
        "plan": source.at((_AT,), lambda: Plan(names, rates, sizes=(low, high))),
        "cooldown": source.at((_AT, "cooldown"), partial(_cooldown, keys.cooldown)),
        "overload": source.at((_AT, "overload"), partial(_made, Overload, keys.overload)),
    }


def _pair(sizes: Sequence[int]) -> tuple[int, int]:
    if len(sizes) != 2:
        raise ConfigError(f"{sizes} are no sizes", hint="Give the fewest and the most: [1, 2].")
    return sizes[0], sizes[1]


def _cooldown(given: dict[str, Any]) -> Cooldown:
    if set(given) == {"fixed"}:
        return Cooldown.fixed(given["fixed"])
    made: Cooldown = _made(Cooldown, given)
    return made


def _made(kind: type, given: dict[str, Any]) -> Any:
    try:
        return kind(**given)
    except TypeError as error:
        known = ", ".join(kind.__dataclass_fields__)  # type: ignore[attr-defined]
        raise ConfigError(f"{error}", hint=f"Its keys are: {known}.") from error
