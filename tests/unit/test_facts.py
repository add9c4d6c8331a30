"""A host's answer to the question for its facts."""

from __future__ import annotations

import json
import math
import os
import subprocess
import time
from pathlib import Path

import pytest

from dfaas_lab.clock import Skew
from dfaas_lab.remote import facts
from dfaas_lab.remote.facts import RootFacts, parse_facts

ANSWER = """\
clock_first=1000.500000000
user=ubuntu
hostname=gen
kernel=Linux 6.1.0-18-arm64
architecture=aarch64
system=Debian GNU/Linux 12 (bookworm)
cpu_model=
cores=4
memory_kb=8000000
open_files=1024
open_files_most=unlimited
python=3.11.2
root_kind=directory
root_mode=1777
root_owner=root
root_writable=yes
root_free_kb=2000
clock_last=1000.600000000
"""


def test_what_a_host_says() -> None:
    found = parse_facts(ANSWER, asked_at=999.9, answered_at=1000.1)
    assert (found.user, found.cores, found.memory_bytes) == ("ubuntu", 4, 8_192_000_000)
    assert (found.open_files, found.open_files_most) == (1024, None)
    assert found.root == RootFacts("directory", "1777", "root", True, 2_048_000)
    assert found.provenance()["system"] == "Debian GNU/Linux 12 (bookworm)"
    assert found.skew is not None
    assert found.skew.seconds == pytest.approx(0.55)
    assert found.skew.uncertainty_s == pytest.approx(0.05)


def test_what_a_host_does_not_say_is_not_invented() -> None:
    silent = "\n".join(line.split("=")[0] + "=" for line in ANSWER.splitlines())
    found = parse_facts(silent.replace("root_writable=", "x="), 0, 1)
    assert (found.cores, found.memory_bytes, found.skew) == (None, None, None)
    assert found.root == RootFacts("", "", "", False, None)


def test_a_clock_of_whole_seconds_is_not_compared() -> None:
    assert parse_facts(ANSWER.replace(".500000000", ".N"), 0, 1).skew is None


def test_a_greeting_of_the_login_shell_does_no_harm() -> None:
    assert parse_facts("Welcome! 1+1=2\n" + ANSWER, 0, 1).user == "ubuntu"
    with pytest.raises(KeyError):
        parse_facts("This account is currently not available.", 0, 1)


def test_the_question_is_understood_by_this_machine(tmp_path: Path) -> None:
    """The script runs in the real /bin/sh; where it is right about us can be compared."""
    script = facts._SCRIPT % {"root": f"'{tmp_path}'"}
    asked_at = time.time()
    answer = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=False)
    found = parse_facts(answer.stdout, asked_at, time.time())
    assert found.kernel == f"{os.uname().sysname} {os.uname().release}"
    assert found.cores == len(os.sched_getaffinity(0))
    assert found.memory_bytes == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert found.root.kind == "directory"
    assert found.root.writable
    assert found.skew is not None
    assert abs(found.skew.seconds) <= found.skew.uncertainty_s + 1e-3
    assert isinstance(found.skew, Skew)


@pytest.mark.parametrize(
    ("line", "hostile"),
    [
        ("clock_first=1000.500000000", "clock_first=nan"),
        ("clock_first=1000.500000000", "clock_first=inf"),
        ("clock_last=1000.600000000", "clock_last=" + "9" * 400 + ".0"),
        ("cores=4", "cores=" + "9" * 5000),
        ("memory_kb=8000000", "memory_kb=" + "9" * 19),
        ("hostname=gen", "hostname=" + "x" * 10**6),
        ("hostname=gen", "hostname=a\x1b[2Jb\u202ec\ud800"),
        ("root_free_kb=2000", "root_free_kb=-1"),
    ],
)
def test_facts_that_a_manifest_cannot_hold_are_none(line: str, hostile: str) -> None:
    assert line in ANSWER
    found = parse_facts(ANSWER.replace(line, hostile), asked_at=999.9, answered_at=1000.1)
    kept = json.dumps(found.provenance(), allow_nan=False, ensure_ascii=False)
    assert kept.isprintable()
    assert len(kept.encode()) < 2000
    numbers = (found.cores, found.memory_bytes, found.open_files, found.root.free_bytes)
    assert all(number is None or 0 <= number < 2**63 for number in numbers)
    assert found.skew is None or math.isfinite(found.skew.seconds)
