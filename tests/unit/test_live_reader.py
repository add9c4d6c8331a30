"""The samples of a run are read while they grow, by a real shell as on a generator."""

from __future__ import annotations

import os
import select
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfaas_lab.k6 import live_reader
from dfaas_lab.k6.live import LiveSeries
from dfaas_lab.k6.live_reader import LiveReader, script_for
from tests.unit.test_live import T0, S

HEADER = "metric_name,timestamp,metric_value,status,extra_tags,metadata\n"


class Shell:
    """A shell with the same two methods as a process on a generator."""

    def __init__(self, folder: Path) -> None:
        command = ["sh", "-c", script_for(str(folder))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, data: bytes, *, timeout: float = 30.0) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def receive(self, *, timeout: float, most: int = 1 << 18) -> bytes | None:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        return os.read(self.process.stdout.fileno(), most) if ready else None

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()  # it may be writing, as to a channel that is closed
        self.process.wait(10)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    yield made
    made.close()


def rows(number: int, first: int = 0) -> str:
    """So many requests, one every 10 ms; every tenth fails."""
    text = ""
    for n in range(first, first + number):
        time_ns = T0 + n * S // 100
        text += f"http_reqs,{time_ns},1.000000,200,,vu=1&iter={n}\n"
        text += f"http_req_duration,{time_ns},5.25,200,,vu=1&iter={n}\n"
        text += f"http_req_failed,{time_ns},{float(n % 10 == 0)},200,,vu=1&iter={n}\n"
        text += f"data_sent,{time_ns},83.0,200,,vu=1&iter={n}\n"
    return text


def test_each_sample_counts_once_however_the_file_grows(tmp_path: Path, shell: Shell) -> None:
    series = LiveSeries(10)
    reader = LiveReader(shell, series.begin(0.0, 10.0))
    reader.look()  # there is no file yet
    content = (HEADER + rows(400)).encode()
    with (tmp_path / "samples.csv").open("wb", buffering=0) as file:
        for end in range(0, len(content), 997):  # in the middle of lines
            file.write(content[end : end + 997])
            if end % 5 == 0:
                reader.look()
    reader.look()
    found = series.points()
    assert [round(point.rate_rps) for point in found] == [100, 100, 100, 100]
    assert series.numbers().failed == 40


def test_a_file_that_grows_faster_than_is_read_is_read_in_parts(
    tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_reader, "_MOST_READ", 20_000)
    monkeypatch.setattr(live_reader, "_LONGEST_LINE", 200)
    (tmp_path / "samples.csv").write_text(HEADER + rows(1000))
    series = LiveSeries(10)
    reader = LiveReader(shell, series.begin(0.0, 10.0))
    seen = []
    for _ in range(16):
        reader.look()
        seen.append(series.numbers().failed)
    assert seen[0] < 20
    assert seen == sorted(seen)
    assert seen[-1] == 100


OTHERS = {
    "empty": "",
    "binary": "\x00\xff" * 5000,
    "other": "no,k6,file\n" * 5000,
    "damaged": "http_req_duration,1e99,x,\n" * 9,
    "one line": "http_reqs," * 9999,
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_what_is_no_samples_file_shows_nothing(content: str, tmp_path: Path, shell: Shell) -> None:
    (tmp_path / "samples.csv").write_bytes(content.encode("latin-1"))
    series = LiveSeries(10)
    reader = LiveReader(shell, series.begin(0.0, 10.0))
    for _ in range(3):
        reader.look()
    assert series.points() == []


def test_too_long_an_answer_ends_it(
    tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_reader, "_MOST_SENT", 10_000)
    (tmp_path / "samples.csv").write_text(HEADER + rows(2000))
    with pytest.raises(ValueError, match="too much"):
        LiveReader(shell, LiveSeries(10).begin(0.0, 10.0)).look()


def test_it_ends_with_its_input_and_leaves_no_process(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "samples.csv").write_text(HEADER + rows(10))
    LiveReader(shell, LiveSeries(10).begin(0.0, 10.0)).look()
    shell.close()
    assert shell.process.returncode is not None


def test_it_looks_once_more_when_the_iteration_is_over(tmp_path: Path, shell: Shell) -> None:
    (tmp_path / "samples.csv").write_text(HEADER + rows(300))
    over, series = threading.Event(), LiveSeries(10)
    over.set()
    LiveReader(shell, series.begin(0.0, 10.0)).until(over)
    assert series.numbers().failed == 30
