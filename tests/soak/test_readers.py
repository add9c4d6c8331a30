# ruff: noqa: E501, PT017, SIM105
"""Every reader of what comes from outside, with random damage: typed errors, bounded memory and time.

Each text begins as one that is right; then parts of it are cut, doubled, and replaced by what is
known to break readers. The seed is fixed, so that a failure comes again.
"""

from __future__ import annotations

import json
import random
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from dfaas_lab import DfaasLabError, Run
from dfaas_lab.k6.generator_load import HostLoad, own_faults
from dfaas_lab.k6.output import K6Output
from dfaas_lab.k6.results import read as read_samples
from dfaas_lab.labfile import read as read_lab
from dfaas_lab.provision.marker import parse_marker
from dfaas_lab.remote.facts import parse_facts
from dfaas_lab.services.gateway import Gateway
from dfaas_lab.services.prometheus import Prometheus
from dfaas_lab.store import Store
from tests.unit.sample_files import T0, V1, Request, rows_of, text_of
from tests.unit.stored_runs import LOAD, frames_of

EXAMPLES = 300
# What a reader may take on its own: polars' and pydantic's tables, a parser's buffers.
ROOM_BYTES = 40_000_000

HOSTILE = [
    b"\x00", b"\xff\xfe", b"\x1b]52;c;AA==\x07", b"\xed\xa0\x80", "\u202e\ufeff\u2028".encode(),
    b"NaN", b"-inf", b"1e999", b"-1", b"9" * 5000, b"0x10", b"1_000", "\u0661".encode(), b"null",
    b"true", b"[]", b"{}", b'""', b"[" * 5000, b'{"a":' * 2000, b"&a [*a]", b"*b", b"!!python/name:os",
    b"<<: *a", b"{{ 1 }}", b"${X}", b"\n", b"\r", b"\t", b",", b'"', b"'", b"=", b":", b"a" * 70_000,
    b"../../etc", b"%00%2e%2e", b"1:1:1:1", b"9999-99-99", b"\n@a1 ended 9", b"\n\n\n", b"x\n" * 5000,
]  # fmt: skip

EDIT = st.tuples(
    st.floats(0, 1), st.floats(0, 0.2), st.one_of(st.sampled_from(HOSTILE), st.binary(max_size=20))
)
EDITS = st.lists(EDIT, min_size=1, max_size=4)


def damaged(content: bytes, edits: list[tuple[float, float, bytes]]) -> bytes:
    """The content with parts replaced: where, how much of it, and by what."""
    for where, share, by in edits:
        at = int(where * len(content))
        content = content[:at] + by + content[at + int(share * len(content)) :]
    return content


def lab_text() -> bytes:
    return json.dumps(
        {
            "generators": [
                {"host": "10.0.0.50", "user": "u", "port": 22, "k6_version": "1.1.0",
                 "variables": {"task_timeout_s": 60, "k6_processors": {"a": "b"}}}
            ],
            "targets": [
                {"name": "mid", "gateway": "http://{host}:31112", "host": {"address": "h"},
                 "auth": {"password": "pw"},
                 "functions": [{"name": "f", "headers": {"A": "b"}, "timeout": "3s"}]}
            ],
            "limits": {"timeout": "1m"},
            "thresholds": {"f": ["p(95)<100"]},
        },
        indent=1,
    ).encode()  # fmt: skip


def legacy_text() -> bytes:
    dfaas = {
        "k6_host": "10.0.0.50", "k6_port": 22, "gateway_url": "http://{host.address}:31112",
        "functions": [{"name": "figlet", "method": "POST", "max_rate": 10}],
        "rate_strategy": {"type": "linear", "min_rate": 0, "max_rate": 20, "step": 10},
        "combinations": {"min_functions": 1, "max_functions": 2},
    }  # fmt: skip
    host = {"name": "n", "address": "10.0.0.60", "user": "u", "vars": {"ansible_port": 22}}
    return json.dumps({"remote_hosts": [host], "plugin_settings": {"dfaas": dfaas}}).encode()


def samples_text() -> bytes:
    requests = [Request(vu=n + 1, end_ns=T0 + n * 10**8, waiting=10**7) for n in range(20)]
    rows = [row for request in requests for row in rows_of(request, random.Random(1))]
    return text_of(rows, V1).encode()


FACTS = b"""user=ubuntu
hostname=gen
kernel=6.1
architecture=x86_64
system=Debian 12
cpu_model=a cpu
cores=4
memory_kb=8000000
open_files=1024
open_files_most=4096
python=3.11
root_kind=folder
root_mode=1777
root_owner=0
root_writable=yes
root_free_kb=1000000
clock_first=1700000000.5
clock_last=1700000000.6
"""
OUTPUT = (
    b"running (0m05.0s), 010/010 VUs, 50 complete and 0 interrupted iterations\n"
    b'time="2026-01-01T00:00:00Z" level=warning msg="Request Failed" error="dial tcp"\n'
    b"@a1 stopping interrupt\n@a1 ended 105 interrupt - -\n"
)
HOST_CSV = ("time_s,cores,cpu_busy\n" + "".join(f"{n}.0,4,{n * 10}\n" for n in range(100))).encode()
FUNCTIONS = json.dumps(
    [{"name": "f", "image": "i", "replicas": 1, "availableReplicas": 1, "labels": {"a": "b"}}]
).encode()
SERIES = json.dumps(
    {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [{"metric": {"__name__": "up", "job": "j"}, "value": [1.5, "1"]}],
        },
    }
).encode()

Reader = Callable[[bytes, Path], Any]


def of_file(name: str, reader: Callable[[Path], Any]) -> Reader:
    def read(content: bytes, folder: Path) -> Any:
        path = folder / name
        path.write_bytes(content)
        return reader(path)

    return read


def samples_of(path: Path) -> Any:
    return read_samples(
        path, run_id="r", target="mid", iteration=1, load=LOAD,
        scenarios={"f0": "figlet"}, started_at=None, status="ok",
    )  # fmt: skip


def answering(content: bytes) -> Callable[[], httpx.BaseTransport]:
    headers = {"Content-Type": "application/json"}
    return lambda: httpx.MockTransport(
        lambda _: httpx.Response(200, headers=headers, content=content)
    )


def of_output(content: bytes, folder: Path) -> Any:
    output = K6Output("a1")
    events = [
        event for at in range(0, len(content), 999) for event in output.feed(content[at : at + 999])
    ]
    return events, output.tail()


def of_gateway(content: bytes, folder: Path) -> Any:
    return Gateway("http://h", transport=answering(content)).functions()


def of_prometheus(content: bytes, folder: Path) -> Any:
    there = Prometheus("http://h", transport=answering(content))
    return there.query("up")


def of_marker(content: bytes, folder: Path) -> Any:
    line, _, says = content.decode(errors="replace").partition("\n")
    return parse_marker(line, says)


def of_facts(content: bytes, folder: Path) -> Any:
    try:
        return parse_facts(content.decode(errors="replace"), 1.0, 2.0).provenance()
    except KeyError:  # a line is missing, which its caller says
        return None


READERS: dict[str, tuple[bytes, Reader]] = {
    "lab file, JSON": (lab_text(), of_file("lab.json", read_lab)),
    "lab file, YAML": (lab_text(), of_file("lab.yml", read_lab)),
    "lab file, TOML": (
        b'generators = [{host = "g"}]\n[[targets]]\nname = "t"\ngateway = "http://h"\nfunctions = ["f"]\n',
        of_file("l.toml", read_lab),
    ),
    "existing tools' file": (legacy_text(), of_file("lab.json", read_lab)),
    "samples": (samples_text(), of_file("samples.csv", samples_of)),
    "k6's output": (OUTPUT * 20, of_output),
    "k6's log": (OUTPUT * 20, of_file("k6.log", own_faults)),
    "host.csv": (HOST_CSV, of_file("host.csv", HostLoad.read)),
    "marker": (
        b'{"format": 1, "playbook_digest": "d", "k6_version": "1.1.0"}\nk6 v1.1.0',
        of_marker,
    ),
    "facts": (FACTS, of_facts),
    "gateway": (FUNCTIONS, of_gateway),
    "Prometheus": (SERIES, of_prometheus),
}


@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_damage_is_typed_and_bounded(name: str, tmp_path: Path) -> None:
    content, reader = READERS[name]
    reader(content, tmp_path)  # what is right is read, but for what a lab file lacks

    @seed(11)
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
    @given(EDITS)
    def survive(edits: list[tuple[float, float, bytes]]) -> None:
        given_ = damaged(content, edits)
        tracemalloc.start()
        began = time.perf_counter()
        try:
            reader(given_, tmp_path)
        except DfaasLabError as error:
            assert str(error)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * len(given_) + ROOM_BYTES
        assert time.perf_counter() - began < 20  # linear ones take milliseconds

    survive()


@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_ten_times_the_text_takes_about_ten_times_as_long(name: str, tmp_path: Path) -> None:
    content, reader = READERS[name]

    def seconds(size: int, part: bytes) -> float:
        began = time.process_time()
        try:
            reader(
                content[: len(content) // 2] + (part * size)[:size] + content[len(content) // 2 :],
                tmp_path,
            )
        except DfaasLabError:
            pass
        return time.process_time() - began

    for part in (
        b"a",
        b" ",
        b'"',
        b"[",
        b"{",
        b",",
        b"\n",
        b"=",
        b"a=",
        b"a: ",
        b"- ",
        b"&a",
        b";a=b",
        b"0",
        b"(1",
    ):
        small, large = seconds(15_000, part), seconds(150_000, part)
        assert large < 40 * small + 2.0, part


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("archive")
    run = Store(folder / "results").create_run(
        "20260101T000000-aaaaaa", {"targets": ["mid"], "status": "ok"}
    )
    for number in (1, 2):
        run.write_iteration(
            number, frames_of(folder, run.run_id, number), {"k6.log": b"log\n"}, target="mid"
        )
    return Run(run).save(folder / "run.zip").read_bytes()


def look(run: Run) -> None:
    for work in (
        lambda: run.summary,
        lambda: run.requests,
        lambda: run.timeline,
        lambda: run.verdict,
        lambda: run.statistics(),
    ):
        try:
            work()
        except DfaasLabError as error:
            assert str(error)
    assert repr(run)


@pytest.mark.timeout(1200)
def test_a_damaged_archive_is_typed(archive: bytes, tmp_path: Path) -> None:
    @seed(12)
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
    @given(EDITS)
    def survive(edits: list[tuple[float, float, bytes]]) -> None:
        (tmp_path / "run.zip").write_bytes(damaged(archive, edits))
        try:
            look(Run.load(tmp_path / "run.zip"))
        except DfaasLabError as error:
            assert str(error)

    survive()


@pytest.mark.timeout(1200)
def test_so_is_a_whole_archive_of_damaged_files(archive: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.zip").write_bytes(archive)
    with zipfile.ZipFile(tmp_path / "run.zip") as whole:
        files = {name: whole.read(name) for name in whole.namelist()}

    @seed(13)
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
    @given(st.sampled_from(sorted(files)), EDITS)
    def survive(name: str, edits: list[tuple[float, float, bytes]]) -> None:
        with zipfile.ZipFile(tmp_path / "odd.zip", "w") as odd:
            for other, content in files.items():
                odd.writestr(other, damaged(content, edits) if other == name else content)
        try:
            look(Run.load(tmp_path / "odd.zip"))
        except DfaasLabError as error:
            assert str(error)

    survive()
