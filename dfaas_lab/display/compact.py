"""The same Vega-Lite figure in less room, for saved notebooks.

There each value has a line of its own, indented by its depth. What all axes of a figure say is said
once in its ``config``, and what all layers of a panel say of a channel once for the panel:
https://vega.github.io/vega-lite/docs/layer.html, "Combining Layers". Data become CSV, in which a
column's name is written once.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import NoneType
from typing import Any

_PARTS = ("concat", "vconcat", "hconcat", "layer")
# Of an axis: what is style, and may stand in config.axis.
_STYLE = (
    "domainColor",
    "grid",
    "gridColor",
    "labelColor",
    "labelFontSize",
    "labelOverlap",
    "tickColor",
    "titleColor",
    "titleFontSize",
    "titleFontWeight",
)
_POSITIONS = ("x", "y")
# Without it, Vega-Lite does not see that a layer has the channel, and does not merge the two.
_IDENTITY = "field"
_MANY_ROWS = 2


def compact(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a specification of Altair's, the data by name in ``datasets``, in less room."""
    smaller = _with_shared_channels(_with_shared_style(spec))
    if "datasets" not in smaller:
        return smaller
    tables = {name: _table(rows) for name, rows in smaller.pop("datasets").items()}
    return _with_tables(_with_shared_data(smaller), tables)


def _with_shared_style(spec: Mapping[str, Any]) -> dict[str, Any]:
    axes = [channel.get("axis") for channel in _position_channels(spec)]
    said = _said_by_all([one for one in axes if isinstance(one, dict)])
    style = {key: said[key] for key in _STYLE if key in said}
    if not style or None in axes:
        return dict(spec)  # an axis that is Vega's own would be changed, too
    config = {**spec.get("config", {}), "axis": style}
    return {**_without_style(spec, style), "config": config}


def _position_channels(unit: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for part in _parts(unit):
        yield from _position_channels(part)
    encoding = unit.get("encoding", {})
    yield from (encoding[name] for name in _POSITIONS if _IDENTITY in encoding.get(name, {}))


def _said_by_all(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = told[0] if told else {}
    return {
        key: value
        for key, value in first.items()
        if all(key in one and one[key] == value for one in told)
    }


def _without_style(unit: Mapping[str, Any], style: Mapping[str, Any]) -> dict[str, Any]:
    changed = _each_part(unit, lambda part: _without_style(part, style))
    if "encoding" in changed:
        changed["encoding"] = {
            name: _without_axis_style(channel, style) if name in _POSITIONS else channel
            for name, channel in changed["encoding"].items()
        }
    return changed


def _without_axis_style(channel: Any, style: Mapping[str, Any]) -> Any:
    if not isinstance(channel, dict) or not isinstance(channel.get("axis"), dict):
        return channel
    axis = {key: value for key, value in channel["axis"].items() if key not in style}
    return {**channel, "axis": axis}


def _with_shared_channels(unit: Mapping[str, Any]) -> dict[str, Any]:
    changed = _each_part(unit, _with_shared_channels)
    layers = changed.get("layer", [])
    if len(layers) < 2 or "encoding" in changed or not all("encoding" in one for one in layers):
        return changed
    told = [layer["encoding"] for layer in layers]
    shared = {name: _shared(name, told) for name in _POSITIONS}
    shared = {name: properties for name, properties in shared.items() if properties}
    changed["layer"] = [{**layer, "encoding": _rest(layer["encoding"], shared)} for layer in layers]
    return {**changed, "encoding": shared} if shared else changed


def _shared(name: str, told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all layers say of a channel; nothing where one has no field there."""
    channels = [encoding[name] for encoding in told if _IDENTITY in encoding.get(name, {})]
    if len(channels) < len(told):
        return {}
    said = _said_by_all(channels)
    said.pop(_IDENTITY, None)
    return said


def _rest(encoding: Mapping[str, Any], shared: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        name: {key: value for key, value in channel.items() if key not in shared.get(name, ())}
        if name in shared
        else channel
        for name, channel in encoding.items()
    }


def _with_shared_data(unit: Mapping[str, Any]) -> dict[str, Any]:
    """Give a panel the data that most of its layers have: a layer has its panel's data."""
    changed = _each_part(unit, _with_shared_data)
    names = Counter(layer["data"]["name"] for layer in changed.get("layer", ()) if "data" in layer)
    name, times = names.most_common(1)[0] if names else ("", 0)
    if times < 2 or names.total() < len(changed["layer"]):
        return changed
    shared = {"name": name}
    changed["layer"] = [
        {key: value for key, value in layer.items() if key != "data" or value != shared}
        for layer in changed["layer"]
    ]
    return {**changed, "data": shared}


def _with_tables(unit: Mapping[str, Any], tables: Mapping[str, Any]) -> dict[str, Any]:
    changed = _each_part(unit, lambda part: _with_tables(part, tables))
    if "data" in changed:
        changed["data"] = tables[changed["data"]["name"]]
    return changed


def _table(rows: Any) -> dict[str, Any]:
    """Return rows as CSV, or as they are where these are few or CSV cannot tell what is in them.

    With a name of its own, Vega-Lite 5 would not read the numbers in it as numbers.
    """
    if len(rows) < _MANY_ROWS:
        return {"values": rows}
    columns = list(dict.fromkeys(name for row in rows for name in row))
    kinds = {name: _kind(row.get(name) for row in rows) for name in columns}
    if None in kinds.values():
        return {"values": rows}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    # Nothing at all is null, for a number.
    table.writerows([columns, *([row.get(name) for name in columns] for row in rows)])
    numbers = {name: kind for name, kind in kinds.items() if kind == "number"}
    return {"values": text.getvalue(), "format": {"type": "csv", "parse": numbers}}


def _kind(values: Iterable[Any]) -> str | None:
    found = {type(one) for one in values}
    if found <= {int, float, NoneType}:
        return "number"
    return "string" if found == {str} else None


def _parts(unit: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for kind in _PARTS:
        yield from unit.get(kind, ())


def _each_part(unit: Mapping[str, Any], change: Any) -> dict[str, Any]:
    return {
        key: [change(part) for part in value] if key in _PARTS else value
        for key, value in unit.items()
    }
