"""The journal's events, whatever the chunks; the samples are k6 1.1.0's own output."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfaas_lab.k6.output import LINE_LIMIT, Elapsed, End, Event, K6Output, LogLine, Stopping

ABORTED = (
    'time="2026-11-23T11:51:18Z" level=error '
    "msg=\"test run was aborted because k6 received a 'interrupt' signal\""
)
CONSOLE = 'time="2026-11-23T11:57:01Z" level=info msg="città ✓" source=console'
BANNER = r"""
         /\      Grafana   /‾‾/  
    /\  /  \     |\  __   /  /   
   /  \/    \    | |/ /  /   ‾‾\ 
  /          \   |   (  |  (‾)  |
 / __________ \  |_|\_\  \_____/ 

     execution: local
        script: script.js
        output: csv (samples.csv)

     scenarios: (100.00%) 2 scenarios, 40 max VUs, 8s max duration (incl. graceful stop):
              * f0: 20.00 iterations/s for 2s (maxVUs: 20-40, exec: request, gracefulStop: 6s)
              * g-1: Up to 5.00 iterations/s for 2s over 1 stages (maxVUs: 1, startTime: 1s)

"""  # noqa: W291 - as k6 writes it
BARS = """
Run    [ 100% ] setup()
ext    [   0% ]
f0     [  50% ] 00/20 VUs  1.0s/2s  20.00 iters/s
f0   ✗ [  24% ] 00/20 VUs  1.9s/8s  20.00 iters/s
f0   ✓ [ 100% ] 00/20 VUs  2s  20.00 iters/s
g-1  • [   0% ] waiting  0.5s           
pv   ✓ [ 100% ] 1 VUs    00m00.9s/10m0s  3/3 iters, 3 per VU
"""  # noqa: W291 - as k6 writes it
WHOLE = (
    BANNER
    + CONSOLE
    + "\nrunning (01.0s), 03/20 VUs, 20 complete and 0 interrupted iterations"
    + BARS
    + "@7f-2 stopping interrupt\n"
    + "\nrunning (01.9s), 00/20 VUs, 39 complete and 2 interrupted iterations"
    + BARS
    + ABORTED
    + "\n@7f-2 ended 105\n"
).encode()
EVENTS: list[Event] = [
    LogLine(CONSOLE),
    Elapsed(1.0, complete=20),
    Stopping("interrupt"),
    Elapsed(1.9, complete=39),
    LogLine(ABORTED),
    End(105),
]


@given(st.lists(st.integers(0, len(WHOLE)), max_size=30))
def test_the_events_do_not_depend_on_where_chunks_end(cuts: list[int]) -> None:
    journal = K6Output("7f-2")
    edges = [0, *sorted(cuts), len(WHOLE)]
    events = [
        event
        for start, end in itertools.pairwise(edges)
        for event in journal.feed(WHOLE[start:end])
    ]
    assert events == EVENTS
    assert journal.offset == len(WHOLE)
    assert journal.tail() == f"{CONSOLE}\n{ABORTED}"


def test_byte_by_byte_splits_every_character() -> None:
    journal = K6Output("7f-2")
    assert [e for byte in WHOLE for e in journal.feed(bytes([byte]))] == EVENTS


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_any_bytes_are_read_and_counted(chunks: list[bytes]) -> None:
    piecewise, at_once = K6Output("a"), K6Output("a")
    events = [event for chunk in chunks for event in piecewise.feed(chunk)]
    assert events == at_once.feed(b"".join(chunks))
    assert piecewise.offset == sum(map(len, chunks))


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("0m05.0s", 5.0),
        ("1.0s", 1.0),
        ("01.9s", 1.9),
        ("00m02.0s", 2.0),
        ("12m30.5s", 750.5),
        ("1h02m03.0s", 3723.0),
        ("1d01h00m00.0s", 90000.0),
    ],
)
def test_k6s_ways_to_write_a_time(time: str, seconds: float) -> None:
    line = f"running ({time}), 010/010 VUs, 50 complete and 1 interrupted iterations\n"
    assert K6Output("a").feed(line.encode()) == [Elapsed(seconds, 50)]


def test_progress_before_the_load_begins_is_noise() -> None:
    journal = K6Output("a")
    assert journal.feed(b"running, 0/7 VUs, 0 complete and 0 interrupted iterations\n") == []
    assert journal.tail() == ""


@pytest.mark.parametrize(
    "line",
    [
        "@b ended 0",
        "@aXb ended 0",
        "@a.bc ended 0",
        "@a.b ended 0 ",
        " @a.b ended 0",
        "@a.b ended",
        "@a.b ended soon",
        "@a.b ended 0 stopping",
        "@a.b stopping",
        'time="2026-11-23T11:57:01Z" level=info msg="@a.b ended 0" source=console',
        'msg="running (1.0s), 00/20 VUs, 20 complete and 0 interrupted iterations"',
        "panic: f0 [  50% ]",
        "scenarios: none",
    ],
)
def test_an_imitation_is_a_line_of_the_log(line: str) -> None:
    assert K6Output("a.b").feed(f"{line}\n".encode()) == [LogLine(line)]


def test_the_exact_id_counts() -> None:
    journal = K6Output("a.b")
    assert journal.feed(b"@a.b stopping lease\n@a.b ended 137 lease killed full\n") == [
        Stopping("lease"),
        End(137, "lease", killed=True, disk_full=True),
    ]
    assert journal.tail() == ""


def test_an_unfinished_line_is_no_event() -> None:
    journal = K6Output("a")
    assert journal.feed(b"@a ended 10") == []
    assert journal.feed(b"5") == []
    assert journal.feed(b"\n") == [End(105)]


def test_what_is_not_utf_8_is_replaced() -> None:
    assert K6Output("a").feed(b"caf\xe9!\n") == [LogLine("caf\N{REPLACEMENT CHARACTER}!")]


def test_a_long_line_is_cut_and_the_next_is_whole() -> None:
    journal = K6Output("a")
    for _ in range(40):
        assert journal.feed(b"x" * 4000) == []
    assert journal.feed(b"\nnext\n") == [LogLine("x" * LINE_LIMIT), LogLine("next")]
    assert journal.offset == 40 * 4000 + 6


def test_a_line_of_exactly_the_limit_is_whole() -> None:
    line = "y" * LINE_LIMIT
    assert K6Output("a").feed(f"{line}\n".encode()) == [LogLine(line)]


def test_the_tail_is_the_last_lines_fit_for_an_error() -> None:
    journal = K6Output("a")
    journal.feed("".join(f"line {n}\n\n" for n in range(500)).encode())
    assert journal.tail(2) == "line 498\nline 499"
    assert journal.tail().splitlines()[0] == "line 480"
    assert journal.tail(0) == ""
    journal.feed(b"z" * 50_000 + b"\n")
    assert len(journal.tail(1)) < 5000


def test_a_secret_in_a_url_is_masked_before_anybody_reads_it() -> None:
    journal = K6Output("a")
    said = b'error="Get \\"http://10.0.0.1/function/env?x=1&token=SEKRET\\": dial tcp"\n'
    (line,) = journal.feed(said)
    assert isinstance(line, LogLine)
    assert "SEKRET" not in line.text + journal.tail()
    assert "x=1&token=***" in line.text


SLOW = (
    " ",
    "_",
    "|",
    "/",
    "a",
    ".",
    "?a=",
    "=;",
    "a=b;",
    "://",
    "@",
    "running (",
    "0m",
    "[ ",
    "AaA",
)


@pytest.mark.parametrize("piece", SLOW)
@pytest.mark.parametrize("before", ["", "     script: ", "@a1 ended 1 ", "paused (", "f [ "])
def test_no_line_takes_more_than_linear_time(piece: str, before: str) -> None:
    """Where a pattern were quadratic, a line of this length would take some seconds."""

    def cost(length: int) -> float:
        line = f"{before}{piece * (length // len(piece))}x\n".encode()
        began = time.process_time()
        K6Output("a1").feed(line)
        return time.process_time() - began

    assert min(cost(64_000) for _ in range(2)) < 1


@pytest.mark.parametrize("digits", ["9" * 16, "9" * 5000, "\N{ARABIC-INDIC DIGIT FIVE}"])
def test_numbers_that_are_none_of_k6s_are_a_line_of_the_log(digits: str) -> None:
    for line in (
        f"@a1 ended {digits}",
        f"running (0m05.0s), {digits}/010 VUs, 50 complete and 0 interrupted iterations",
        f"running (0m05.0s), 010/010 VUs, {digits} complete and 0 interrupted iterations",
    ):
        assert K6Output("a1").feed(f"{line}\n".encode()) == [LogLine(line)]
    time_ = f"running ({digits}d0m05.0s), 010/010 VUs, 5 complete and 0 interrupted iterations\n"
    assert not [
        event for event in K6Output("a1").feed(time_.encode()) if isinstance(event, Elapsed)
    ]
