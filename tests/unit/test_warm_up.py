"""What draws charts is loaded in the background, and by nothing else than a notebook's progress."""

from __future__ import annotations

import subprocess
import sys

import pytest

TOLD = """
import sys
from dfaas_lab.widgets import choose_view
from dfaas_lab.widgets.warm_up import warm_up
choose_view(), choose_view(False)
print("altair" in sys.modules)
thread = warm_up()
print(warm_up() is thread, thread.daemon)
thread.join(60)
print({"altair", "vl_convert", "PIL"} <= set(sys.modules))
"""


@pytest.mark.slow
def test_it_is_loaded_once_and_only_where_it_is_asked_for() -> None:
    ran = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, text=True, timeout=120)
    assert ran.stdout.split() == ["False", "True", "True", "True"], ran.stderr


def test_progress_outside_of_a_notebook_loads_none_of_it() -> None:
    code = "import sys, dfaas_lab.widgets as own; own.choose_view(); print('altair' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout.split() == ["False"], ran.stderr
