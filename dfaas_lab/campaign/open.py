"""Creates a campaign, or opens the stored one with the same label or settings."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from dfaas_lab.campaign.campaign import Campaign, status_of
from dfaas_lab.campaign.cooldown import Cooldown
from dfaas_lab.campaign.files import CampaignFolder, stored_campaigns
from dfaas_lab.campaign.overload import Overload
from dfaas_lab.campaign.settings import (
    Settings,
    differences,
    options_of,
    requests_of,
    stored_options,
)
from dfaas_lab.errors import ConfigError, ResumeMismatch
from dfaas_lab.k6.thresholds import rules_of
from dfaas_lab.load import seconds
from dfaas_lab.load.plan import Plan
from dfaas_lab.load.rates import Random
from dfaas_lab.names import check_options, near
from dfaas_lab.store import new_run_id

if TYPE_CHECKING:
    from dfaas_lab.target import Target

# The arguments of ``lab.campaign()``, where they are left out.
DEFAULTS: Mapping[str, Any] = {
    "plan": None,
    "iterations": 3,
    "duration": "30s",
    "targets": None,
    "cooldown": None,
    "overload": None,
    "order": "rising",
    "seed": None,
    "label": None,
}
_MOST_LOADS = 10_000_000  # a second each is four months
_OPTIONS = ("limits", "warmup", "thresholds", "live")
_INSTEAD = {
    "rest": "Give cooldown=Cooldown(...), or Cooldown.fixed('10s').",
    "load": "The plan says the loads.",
    "script": "A campaign's loads are a plan's: measure a script by run_k6().",
}


def open_campaign(
    lab_targets: Mapping[str, Target],
    store: Path,
    *,
    plan: Plan | None,
    iterations: int = 3,
    duration: str | timedelta = "30s",
    targets: Iterable[str | Target] | None = None,
    cooldown: Cooldown | None = None,
    overload: Overload | None = None,
    order: str = "rising",
    seed: int | None = None,
    label: str | None = None,
    progress: bool | None = None,
    options: Mapping[str, Any] | None = None,
) -> Campaign:
    """Return a campaign of a lab's targets; see :meth:`dfaas_lab.Lab.campaign`."""
    own = _targets(lab_targets, targets)
    given = _options(options or {})
    if plan is None:
        return _stored_one(own, store, label, given, progress)
    if not isinstance(plan, Plan):
        raise ConfigError(
            f"{plan!r} is no plan", hint='Give Plan(["figlet"], Linear(0, 200, step=20)).'
        )
    if len(plan) > _MOST_LOADS:
        raise ConfigError(
            f"{len(plan):,} loads are more than a campaign can come to ({_MOST_LOADS:,})",
            hint="Give fewer functions, smaller sizes, or fewer rates.",
        )
    if label is not None and not isinstance(label, str):
        raise ConfigError(f"label={label!r} is no text", hint='Give a name: label="node study".')
    settings = Settings(
        plan=plan,
        iterations=iterations,
        duration_s=seconds(duration),
        targets=tuple(own),
        cooldown=Cooldown() if cooldown is None else cooldown,
        overload=Overload() if overload is None else overload,
        order=order,  # type: ignore[arg-type]
        seed=seed,
        requests={n: requests_of(target, plan.functions) for n, target in own.items()},
    )
    for target in own.values():
        _check(target, settings, duration, given)
    settings = replace(settings, options=stored_options(given))
    folder, settings = _same(store, settings, label)
    return Campaign(
        own, store, folder, settings, label=label, options=given, progress=progress
    )._note_progress()


def campaigns_of(store: Path) -> pl.DataFrame:
    """Return one row per campaign of a store, oldest first.

    ``campaign_id, created_at, label, status, targets, loads, measured, path``.
    """
    schema = {
        "campaign_id": pl.String(),
        "created_at": pl.Datetime("us", "UTC"),
        "label": pl.String(),
        "status": pl.String(),
        "targets": pl.List(pl.String()),
        "loads": pl.Int64(),
        "measured": pl.Int64(),
        "path": pl.String(),
    }
    rows = []
    for folder in stored_campaigns(store):
        entries = folder.read()
        settings = Settings.from_described(entries["settings"])
        records = [one for name in settings.targets for one in folder.loads(name).values()]
        rows.append(
            {
                "campaign_id": folder.id,
                "created_at": datetime.fromisoformat(entries["created_at"]),
                "label": entries.get("label"),
                "status": status_of(folder),
                "targets": list(settings.targets),
                "loads": len(settings.plan) * len(settings.targets),
                "measured": sum(not record.missing for record in records),
                "path": str(folder.path),
            }
        )
    return pl.DataFrame(rows, schema=schema)


def _same(store: Path, asked: Settings, label: str | None) -> tuple[CampaignFolder, Settings]:
    """The stored campaign that this one is, or a new folder.

    A label names one campaign. Without a label it is the one of the same settings; one that is
    unfinished, of the same targets, is taken for it also where something differs: then that is
    said, rather than that days of measurements are begun anew.

    Raises:
        ResumeMismatch: It is not what is asked now.
    """
    unfinished: tuple[CampaignFolder, list[str]] | None = None
    for folder in reversed(stored_campaigns(store)):
        entries = folder.read()
        if entries.get("label") != label:
            continue
        settings = _with_drawn(asked, entries["settings"])
        different = differences(entries["settings"], settings.described())
        if not different:
            return folder, settings
        same_targets = entries["settings"]["targets"] == list(asked.targets)
        if label is not None or (same_targets and status_of(folder) != "finished"):
            unfinished = unfinished or (folder, different)
    if unfinished is not None:
        raise _mismatch(*unfinished, label)
    if asked.order == "shuffled" and asked.seed is None:
        asked = replace(asked, seed=secrets.randbelow(2**32))
    return CampaignFolder(store / "campaigns" / new_run_id()), asked


def _mismatch(folder: CampaignFolder, different: list[str], label: str | None) -> ResumeMismatch:
    called = f"{label!r} ({folder.id})" if label else folder.id
    more = f" and {len(different) - 5} more" if len(different) > 5 else ""
    return ResumeMismatch(
        f"campaign {called} in {folder.path.parent.parent} is not the one that is asked: "
        f"{'; '.join(different[:5])}{more}",
        hint="Ask for what is stored to go on with it, or give another label= for a new campaign.",
    )


def _with_drawn(asked: Settings, stored: Mapping[str, Any]) -> Settings:
    """What is asked, with the seeds that were drawn for the stored one where none is given."""
    if asked.order == "shuffled" and asked.seed is None:
        asked = replace(asked, seed=stored.get("seed"))
    rates = asked.plan.rates
    if isinstance(rates, Random) and rates.drawn_seed:
        entries = stored["plan"]["rates"]
        if entries.get("type") == "random":
            same = Random(rates.min, rates.max, rates.count, seed=entries["seed"])
            described = asked.plan.described() | {"rates": same.described()}
            asked = replace(asked, plan=Plan.from_described(described))
    return asked


def _stored_one(
    targets: Mapping[str, Target],
    store: Path,
    label: str | None,
    options: Mapping[str, Any],
    progress: bool | None,
) -> Campaign:
    """The stored campaign of this label or id; without one, the only one that is unfinished."""
    found = [
        folder
        for folder in stored_campaigns(store)
        if (label is None and status_of(folder) != "finished")
        or (label is not None and (folder.read().get("label") == label or folder.id == label))
    ]
    if len(found) != 1:
        which = f"of label {label!r}" if label is not None else "that are unfinished"
        raise ConfigError(
            f"no plan is given, and the store has {len(found) or 'no'} campaigns {which}",
            hint="Give a plan: lab.campaign(Plan(...)). lab.campaigns() lists what is stored.",
        )
    entries = found[0].read()
    settings = Settings.from_described(entries["settings"])
    missing = [name for name in settings.targets if name not in targets]
    if missing:
        raise ConfigError(
            f"campaign {found[0].id} measures {', '.join(missing)}, which this lab does not have",
            hint="Open the lab as it was when the campaign began.",
        )
    own = {name: targets[name] for name in settings.targets}
    options = {**options_of(settings.options), **options}
    now = replace(
        settings,
        requests={n: requests_of(t, settings.plan.functions) for n, t in own.items()},
        options=stored_options(options),
    )
    different = differences(entries["settings"], now.described())
    if different:
        raise _mismatch(found[0], different, entries.get("label"))
    return Campaign(
        own, store, found[0], settings,
        label=entries.get("label"), options=options, progress=progress,
    )._note_progress()  # fmt: skip


def _targets(
    targets: Mapping[str, Target], chosen: Iterable[str | Target] | None
) -> dict[str, Target]:
    if chosen is None:
        return dict(targets)
    asked = [chosen] if isinstance(chosen, str) or not isinstance(chosen, Iterable) else chosen
    names = [str(getattr(one, "name", one)) for one in asked]
    missing = [name for name in names if name not in targets]
    if missing or not names:
        question = near(missing[0], targets) if missing else ""
        raise ConfigError(
            f"the lab has no target {', '.join(missing) or '(none was named)'}{question}",
            hint=f"Its targets are: {', '.join(targets)}.",
        )
    # Their order means nothing: they are measured side by side.
    return {name: target for name, target in targets.items() if name in names}


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    for name in options:
        check_options("campaign()", [name], [*_OPTIONS, *DEFAULTS], hint=_INSTEAD.get(name))
    return {name: value for name, value in options.items() if value is not None}


def _check(
    target: Target, settings: Settings, duration: str | timedelta, given: Mapping[str, Any]
) -> None:
    """Refuse what no run can do, before anything runs."""
    plan = settings.plan.limited(target.functions)
    highest = plan[int(plan.totals().argmax())]
    load = dict(highest) if not highest.idle else dict.fromkeys(highest, 1)
    asked = {name: value for name, value in given.items() if name not in ("live", "thresholds")}
    target._spec(settings.iterations, load=load, duration=duration, **asked)
    # A combination may lack a function that has a threshold: its runs leave that out.
    rules_of(given.get("thresholds"), dict.fromkeys(plan.functions, 1.0))
