"""The clock of an HTTP server, read from the ``Date`` header of its answers."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

from dfaas_lab.clock import Reading, Skew, skew
from dfaas_lab.services.endpoint import Endpoint, Session

# A bit more than the second in which every clock passes to its next one.
_LONGEST_S = 1.2
_FINE_ENOUGH_S = 0.05


def date_skew(endpoint: Endpoint) -> Skew | None:
    """Return how far the server's clock is ahead of ours; None where its answers have no ``Date``.

    The header has whole seconds, so one answer tells the lead to half a second. It is asked for up
    to a second, while it passes from one second to the next, to narrow that down.

    Raises:
        ServiceError: It does not answer.
    """
    readings: list[Reading] = []
    until = time.time() + _LONGEST_S
    with endpoint.session() as session:
        session.ask("GET", "/healthz")  # the first one also opens the connection
        while time.time() < until:
            reading = _reading(session)
            if reading is None:
                return None
            readings.append(reading)
            found = skew(readings)
            if found and found.uncertainty_s <= _FINE_ENOUGH_S:
                break
            time.sleep(_FINE_ENOUGH_S / 2)
    return skew(readings)


def _reading(session: Session) -> Reading | None:
    asked_at = time.time()
    answer = session.ask("GET", "/healthz")
    answered_at = time.time()
    try:
        shown = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
    return Reading(asked_at, answered_at, shown, resolution_s=1.0)
