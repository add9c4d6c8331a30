"""k6's samples become one exact row per request, whatever the file looks like."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfaas_lab.errors import ResultsUnreadable
from dfaas_lab.k6.results import Frames, read
from dfaas_lab.k6.samples import read_samples
from dfaas_lab.load import Function, Load
from tests.unit.sample_files import (
    HEADERS,
    T0,
    V1,
    V1_ALL,
    Request,
    mark,
    read_slowly,
    rows_of,
    text_of,
)

SCENARIOS = {"f0": "figlet", "f1": "env"}
LOAD = Load.of({"figlet": 10}, duration="1s", functions=[Function("figlet")])
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write(folder: Path, text: str) -> Path:
    path = folder / "samples.csv"
    path.write_bytes(text.encode())
    return path


def frames(path: Path, **changes: object) -> Frames:
    arguments = {
        "run_id": "r", "target": "t", "iteration": 1, "load": None, "scenarios": SCENARIOS,
        "started_at": None, "status": "ok",
    }  # fmt: skip
    return read(path, **(arguments | changes))


def of(folder: Path, *requests: Request, header: list[str] = V1, seed: int = 1) -> Frames:
    shuffle = random.Random(seed)
    rows = [row for request in requests for row in rows_of(request, shuffle)]
    return frames(write(folder, text_of(rows, header)))


nanoseconds = st.integers(0, 10**10)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="&=\0"), max_size=8)
made = st.builds(
    Request,
    end_ns=st.integers(T0, T0 + 3 * 10**9),
    blocked=nanoseconds, connecting=nanoseconds, tls_handshaking=nanoseconds,
    sending=nanoseconds, waiting=nanoseconds, receiving=nanoseconds,
    scenario=st.sampled_from(["f0", "f1", "other"]),
    vu=st.integers(1, 3),
    iter=st.integers(0, 3),
    status=st.sampled_from([0, 200, 302, 404, 502]),
    error_code=st.sampled_from([None, 1050, 1212]),
    failed=st.booleans(),
    tags=st.dictionaries(names.filter(bool), names, max_size=3),
)  # fmt: skip
refused = st.builds(
    Request,
    end_ns=st.integers(T0, T0 + 10**9),
    blocked=st.just(0), sending=st.just(0), waiting=st.just(0), receiving=st.just(0),
    status=st.just(0), error_code=st.just(1212), failed=st.just(True),
    vu=st.integers(4, 6),
)  # fmt: skip


@settings(suppress_health_check=list(HealthCheck))
@given(
    requests=st.lists(made | refused, max_size=12),
    header=st.sampled_from(HEADERS),
    absent=st.sets(st.sampled_from(["error_code", "expected_response", "extra_tags", "method"])),
    in_order=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_any_file_reads_as_the_slow_reader_reads_it(
    tmp_path_factory: pytest.TempPathFactory,
    requests: list[Request],
    header: list[str],
    absent: set[str],
    in_order: bool,
    seed: int,
) -> None:
    shuffle = random.Random(seed)
    rows = []
    for request in requests:
        nine = rows_of(request, shuffle)
        if not in_order:
            shuffle.shuffle(nine)
        # Rows of other metrics stand anywhere, also between those of one request.
        nine.insert(shuffle.randint(0, len(nine)), mark("data_sent", T0, "f0"))
        rows += nine
    text = text_of(rows, [name for name in header if name not in absent])
    got = frames(write(tmp_path_factory.mktemp("csv"), text)).requests
    expected = [_expected(request) for request in read_slowly(text)]
    have = got.select(
        "function", "ended_at", "started_at", "latency_ms", "http_status", "error_code", "failed",
        "vu", "vu_iteration",
    ).rows()  # fmt: skip
    assert sorted(have, key=repr) == sorted(expected, key=repr)


def _expected(request: dict) -> tuple[object, ...]:
    row, values = request["row"], request["values"]
    status, latency = int(row["status"]), values["http_req_duration"]
    tags = (row.get("extra_tags") or "").split("&")
    tagged = [tag.removeprefix("function=") for tag in tags if tag.startswith("function=")]
    ended_ns = int(row["timestamp"])
    started_ns = ended_ns - round((latency + values["http_req_blocked"]) * 1e6)
    return (
        SCENARIOS.get(row["scenario"]) or (tagged or [row["scenario"]])[0],
        EPOCH + timedelta(microseconds=ended_ns // 1000),
        EPOCH + timedelta(microseconds=started_ns // 1000),
        latency if status or latency else None,
        status or None,
        int(row["error_code"]) if row.get("error_code") else None,
        bool(values["http_req_failed"]),
        int(request["vu"]),
        int(request["iter"]),
    )


def test_the_phases_add_up_and_the_start_lies_before_them(tmp_path: Path) -> None:
    row = of(tmp_path, Request(blocked=2_000_000, connecting=1_500_000)).requests.row(0, named=True)
    assert row["latency_ms"] == pytest.approx(
        row["sending_ms"] + row["waiting_ms"] + row["receiving_ms"]
    )
    took = timedelta(milliseconds=row["latency_ms"] + row["blocked_ms"])
    assert row["ended_at"] - row["started_at"] == took
    assert (row["connecting_ms"], row["tls_ms"]) == (1.5, 0.0)


def test_a_request_without_a_connection_has_no_latency(tmp_path: Path) -> None:
    refused_ = Request(blocked=0, sending=0, waiting=0, receiving=0, status=0, error_code=1212,
                       failed=True)  # fmt: skip
    got = of(tmp_path, refused_, Request(vu=2))
    first = got.requests.filter(pl.col("error_code") == 1212).row(0, named=True)
    assert first["http_status"] is None
    assert first["failed"] is True
    for phase in ("latency", "blocked", "connecting", "tls", "sending", "waiting", "receiving"):
        assert first[f"{phase}_ms"] is None
    summary = got.summary.row(0, named=True)
    assert (summary["requests"], summary["failed"], summary["success_rate"]) == (2, 1, 0.5)
    assert summary["latency_ms_min"] == pytest.approx(5.3)


def test_a_timeout_after_the_request_was_sent_keeps_its_latency(tmp_path: Path) -> None:
    # What k6 1.1.0 writes for a server that accepts and never answers.
    hung = Request(waiting=999_047_918, sending=105_378, receiving=0, status=0, error_code=1050,
                   failed=True)  # fmt: skip
    row = of(tmp_path, hung).requests.row(0, named=True)
    assert row["latency_ms"] == pytest.approx(999.153296)
    assert (row["http_status"], row["error_code"]) == (None, 1050)


def test_a_connection_that_times_out_began_when_the_script_began_it(tmp_path: Path) -> None:
    lost = Request(end_ns=T0 + 10**10, blocked=0, sending=0, waiting=0, receiving=0, status=0,
                   error_code=1050, failed=True)  # fmt: skip
    started = mark("dfaas_started", T0, "f0") | {"metadata": "iter=0&vu=1"}
    text = text_of([started, *rows_of(lost, random.Random(1))], V1)
    row = frames(write(tmp_path, text)).requests.row(0, named=True)
    assert row["ended_at"] - row["started_at"] == timedelta(seconds=10)


def test_a_batch_with_one_time_stamp_stays_several_requests(tmp_path: Path) -> None:
    batch = [Request(waiting=ms * 10**6, status=status) for ms, status in
             ((5, 200), (7, 404), (9, 200))]  # fmt: skip
    got = of(tmp_path, *batch).requests
    assert sorted(got.select("waiting_ms", "http_status").rows()) == [
        (5.0, 200), (7.0, 404), (9.0, 200),
    ]  # fmt: skip


def test_a_redirect_is_two_requests_and_the_report_is_on_the_last(tmp_path: Path) -> None:
    got = of(
        tmp_path,
        Request(status=302),
        Request(end_ns=T0 + 10**8, function_ns=3_000_000, served_by="node b"),
    ).requests
    assert got.select("http_status", "function_ms", "served_by").rows() == [
        (302, None, None),
        (200, 3.0, "node b"),
    ]


def test_the_answers_headers_split_the_latency(tmp_path: Path) -> None:
    got = of(
        tmp_path,
        Request(vu=1, function_ns=2_000_000, served_by="nöde,1&x=y"),
        Request(vu=2, function_ns=900_000_000),
        Request(vu=3, served_by="b"),
        Request(vu=4),
    ).requests.sort("vu")
    split = got.select("function_ms", "gateway_ms", "served_by").rows()
    assert split == [
        (2.0, pytest.approx(3.3), "nöde,1&x=y"),
        (900.0, None, None),  # longer than the request itself: not a part of it
        (None, None, "b"),
        (None, None, None),
    ]


@pytest.mark.parametrize("cut", range(1, 130))
def test_a_file_that_was_cut_anywhere_keeps_its_whole_requests(tmp_path: Path, cut: int) -> None:
    rows = [row for vu in (1, 2, 3) for row in rows_of(Request(vu=vu), random.Random(vu))]
    text = text_of(rows, V1)
    position = len(text) * cut // 130
    whole = text[:position].count("http_req_receiving,") - (
        "http_req_receiving," in text[:position].rpartition("\n")[2]
    )
    assert frames(write(tmp_path, text[:position])).requests.height == whole


@pytest.mark.parametrize("tail", ['http_reqs,1,1.0,,,GET,f0,200,"a=b\nc', 'x,"""\n', 'x,"\n\n'])
def test_a_file_that_was_cut_inside_of_quotes_keeps_the_rest(tmp_path: Path, tail: str) -> None:
    text = text_of(rows_of(Request(tags={"a": 'b\n"c"'}), random.Random(1)), V1)
    assert frames(write(tmp_path, text + tail)).requests.height == 1


@pytest.mark.parametrize("text", ["", "metric_na", ",".join(V1), ",".join(V1) + "\n"])
def test_a_file_without_samples_is_an_empty_result(tmp_path: Path, text: str) -> None:
    got = frames(write(tmp_path, text))
    assert (got.requests.height, got.summary.height, got.timeline.height) == (0, 0, 0)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("hello\nworld\n", "no samples file"),
        ("\x00\xff\x00", "no samples file"),
        ("metric_name,value\n", "timestamp"),
        (text_of([], V1) + "http_reqs,yesterday,1.0,,,,,,,\n", "damaged"),
    ],
)
def test_another_file_is_refused_with_a_clear_word(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(ResultsUnreadable, match=word):
        frames(write(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsUnreadable, match="cannot be read"):
        read_samples(tmp_path / "none.csv")


def test_without_vu_and_iter_requests_are_still_told_apart(tmp_path: Path) -> None:
    header = [name for name in V1 if name != "metadata"]
    got = of(tmp_path, Request(), Request(vu=2), Request(vu=2, end_ns=T0 + 5), header=header)
    assert got.requests.height == 3
    assert got.requests["vu"].null_count() == 3


def test_a_script_that_asks_k6_for_no_verdict_is_judged_by_its_status(tmp_path: Path) -> None:
    header = [name for name in V1 if name != "expected_response"]
    rows = [
        row
        for vu, status in ((1, 200), (2, 500))
        for row in rows_of(Request(vu=vu, status=status), random.Random(1))
        if row["metric_name"] != "http_req_failed"
    ]
    got = frames(write(tmp_path, text_of(rows, header))).requests.sort("vu")
    assert got["failed"].to_list() == [False, True]


# Damaged, or not k6's

ODD = ["NaN", "inf", "-inf", "1e400", "1e300", "-5", "abc", "9" * 23, str(2**63 - 1), "", '"', "\0"]
COLUMNS = ["metric_name", "timestamp", "metric_value", "status", "error_code", "vu", "iter",
           "metadata", "extra_tags", "scenario", "expected_response"]  # fmt: skip


@pytest.mark.parametrize("load", [LOAD, None], ids=["a load", "a script"])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_number_that_cannot_be_gives_no_other_error(
    tmp_path: Path, load: Load | None, column: str
) -> None:
    good = rows_of(Request(end_ns=T0), random.Random(1))
    good += [mark("dropped_iterations", T0, "f0"), mark("dfaas_started", T0, "f0")]
    odd = [*ODD, "vu=99999999999999&iter=0", "vu=-1&iter=x"]
    headers = itertools.cycle(HEADERS)
    for (row, value), header in zip(itertools.product((0, -1), odd), headers, strict=False):
        rows = [dict(one) for one in good]
        rows[row][column] = value
        with contextlib.suppress(ResultsUnreadable):
            frames(write(tmp_path, text_of(rows, header)), load=load)


@pytest.mark.parametrize(
    ("column", "value"),
    [("metric_value", "NaN"), ("metric_value", "1e300"), ("timestamp", "9" * 18 + "0"),
     ("metadata", "vu=99999999999999&iter=0"), ("metadata", "vu=1&iter=" + "9" * 23)],
)  # fmt: skip
def test_what_k6_never_measures_is_told_as_damage(tmp_path: Path, column: str, value: str) -> None:
    rows = rows_of(Request(end_ns=T0), random.Random(1))
    for row in rows:
        row[column] = value
    with pytest.raises(ResultsUnreadable, match="is damaged") as damaged:
        frames(write(tmp_path, text_of(rows, V1)))
    assert "raw file is kept" in damaged.value.hint


# What a script says


def test_a_scripts_tags_are_columns(tmp_path: Path) -> None:
    tags = {"stage": "2", "q": "a=b", "odd key": 'é "x"\nline'}
    rows = rows_of(Request(tags=tags), random.Random(1))
    for row in rows:
        row |= {"name": "echo", "url": "http://gw/echo?n=1", "method": "POST", "group": "::buy"}
        row["metadata"] += "&trace=7"
    found = frames(write(tmp_path, text_of(rows, V1_ALL))).requests
    row = found.row(0, named=True)
    assert (row["name"], row["method"], row["group"]) == ("echo", "POST", "::buy")
    assert json.loads(row["tags"]) == tags | {"trace": "7", "url": "http://gw/echo?n=1"}
    stage = found.select(pl.col("tags").str.json_path_match("$.stage")).item()
    assert stage == "2", "as the docstring of run.requests says"


def test_a_load_has_no_tags_of_its_own(tmp_path: Path) -> None:
    rows = rows_of(Request(tags={"function": "figlet"}), random.Random(1))
    found = frames(write(tmp_path, text_of(rows, V1)), load=LOAD).requests
    assert found.select("name", "method", "group", "tags").row(0) == (None, None, None, None)


def test_metrics_are_counted_by_their_tags(tmp_path: Path) -> None:
    marks = [("a", 1.0), ("b", 2.0), ("a", 4.0)]
    rows = [mark("spoken", T0, "", value) | {"extra_tags": f"stage={tag}"} for tag, value in marks]
    found = frames(write(tmp_path, text_of(rows, V1_ALL))).k6_metrics
    assert sorted(found.select("tags", "sum").rows()) == [
        ('{"stage": "a"}', 5.0),
        ('{"stage": "b"}', 2.0),
    ]


def test_what_may_be_secret_in_a_url_is_not_kept(tmp_path: Path) -> None:
    url = "http://me:pw4711@gw/echo?n=1&api_key=pw4711"
    rows = rows_of(Request(tags={"link": url.replace("&", ";")}), random.Random(1))
    for row in rows:
        row |= {"name": url, "url": url + "2", "method": "GET"}
    found = frames(write(tmp_path, text_of(rows, V1_ALL))).requests
    assert found["name"].item() == "http://***@gw/echo?n=1&api_key=***"
    assert "pw4711" not in found["tags"].item()
    assert json.loads(found["tags"].item())["url"] == "http://***@gw/echo?n=1&api_key=***"
