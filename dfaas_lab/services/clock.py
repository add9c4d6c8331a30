"""The clock of an HTTP server, read from the ``Date`` header of its answers."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime

from dfaas_lab.clock import Reading, Skew, skew
from dfaas_lab.services.endpoint import Endpoint, Session

# A bit more than the second in which every clock passes to its next one.
_LONGEST_S = 1.2


def date_skew(
    endpoint: Endpoint,
    *,
    within_s: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Skew | None:
    """Return how far the server's clock is ahead of ``clock``; None without a ``Date``.

    See :meth:`dfaas_lab.services.gateway.Gateway.date_skew`.
    """
    readings: list[Reading] = []
    started = clock()
    with endpoint.session() as session:
        session.ask("GET", "/healthz")  # the first one also opens the connection
        while clock() < started + _LONGEST_S:
            reading = _reading(session, clock)
            if reading is None:
                return None
            readings.append(reading)
            found = skew(readings)
            if within_s >= 0.5 or (found and found.uncertainty_s <= within_s):
                break
            sleep(within_s / 2)
    return skew(readings)


def _reading(session: Session, clock: Callable[[], float]) -> Reading | None:
    asked_at = clock()
    answer = session.ask("GET", "/healthz")
    answered_at = clock()
    try:
        shown = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
    return Reading(asked_at, answered_at, shown, resolution_s=1.0)
