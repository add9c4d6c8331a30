"""The cache of ready hosts and targets: each is made ready once per session."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dfaas_lab.provision.report import TaskRow
    from dfaas_lab.provision.spec import Spec

# All that is ready, by key (``spec.key``), with the tasks that made it so in this session.
_ready: dict[Hashable, tuple[TaskRow, ...]] = {}
_lock = threading.Lock()


def get(key: Hashable) -> tuple[TaskRow, ...] | None:
    """Return the tasks that made it ready in this session; None where it is not known to be."""
    return _ready.get(key)


def put(ready: Mapping[Hashable, tuple[TaskRow, ...]]) -> None:
    """Add what is ready. One that nothing was done to keeps the tasks that made it so."""
    with _lock:
        for key, rows in ready.items():
            if rows or key not in _ready:
                _ready[key] = rows


def evict(keys: Iterable[Hashable] | None = None) -> None:
    """Remove what has these keys, or all."""
    with _lock:
        for key in list(_ready) if keys is None else keys:
            _ready.pop(key, None)


def evict_older(new: Iterable[Spec]) -> None:
    """Remove what these hosts were before: the marker there tells the newest state only."""
    places = {spec.key: spec.state_key for spec in new}
    with _lock:
        for key in [key for key in _ready if isinstance(key, tuple) and key not in places]:
            if any(key[: len(place)] == place for place in places.values()):
                del _ready[key]
