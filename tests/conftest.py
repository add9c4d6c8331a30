"""What all tests need: an interrupt that interrupts."""

from __future__ import annotations

import signal

# A shell starts what runs in its background with SIGINT ignored, and Python then leaves it so: no
# test of Ctrl-C could be interrupted, for a reason that is none of ours.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
