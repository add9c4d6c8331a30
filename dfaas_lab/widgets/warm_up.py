"""Imports the chart libraries in the background, since the first chart takes seconds."""

from __future__ import annotations

import functools
import logging
import threading
import time

log = logging.getLogger(__name__)

_BARS_FIRST_S = 0.5  # an import keeps other threads waiting, and somebody waits for the first bar


@functools.cache
def warm_up() -> threading.Thread:
    """Load it in the background, once per process."""
    thread = threading.Thread(target=_load, name="dfaas-lab-warm-up", daemon=True)
    thread.start()
    return thread


def _load() -> None:
    time.sleep(_BARS_FIRST_S)
    try:
        import altair as alt

        from dfaas_lab.display.bundles import png, spec_of

        png(spec_of(alt.Chart(alt.InlineData([])).mark_point()))
    except Exception:  # a chart that cannot be drawn is told when it is asked for
        log.debug("charts cannot be drawn", exc_info=True)
