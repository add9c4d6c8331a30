"""What all tests need: signals that do what they do for a person at a terminal."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# A shell starts what runs in its background with SIGINT ignored, nohup does so with SIGHUP, and
# Python and all that it starts then leave it so. No test of Ctrl-C could be interrupted, and ssh
# could not end the ssh that it goes through, for reasons that are none of ours.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long one example takes tells of the machine's neighbours, not of the code. `make test-all`
# asks for the thorough ones: --hypothesis-profile.
settings.register_profile("quick", deadline=None, max_examples=25)
settings.register_profile("thorough", deadline=None, max_examples=300)
settings.load_profile("quick")


class ByLab(LoadScopeScheduling):
    """With ``-n``, the tests of a file share its lab, in one process; those without labs go alone.

    (The marks of ``--dist loadgroup`` are not seen by pytest-xdist 3.8 under pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0] if nodeid.startswith("tests/embedded/") else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByLab:
    return ByLab(config, log)
