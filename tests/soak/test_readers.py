# ruff: noqa: E501, PT017, SIM105
"""Every reader of what comes from outside, with random damage: typed errors, bounded memory and time.

Each text begins as one that is right; then parts of it are cut, doubled, and replaced by what is
known to break readers. The seed is fixed, so that a failure comes again.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import tarfile
import tempfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpcore
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from dfaas_lab import DfaasLabError, Run
from dfaas_lab.campaign.csv_import import import_csv
from dfaas_lab.campaign.files import CampaignFolder
from dfaas_lab.config import Host
from dfaas_lab.interleaved import Blocks
from dfaas_lab.k6.custom_script import CustomScript
from dfaas_lab.k6.generator_load import HostLoad, read_log
from dfaas_lab.k6.launch import CUT, WANTED
from dfaas_lab.k6.output import K6Output
from dfaas_lab.k6.requirements import Requirements
from dfaas_lab.k6.results import read as read_samples
from dfaas_lab.labfile import read as read_lab
from dfaas_lab.provision.marker import parse_marker
from dfaas_lab.remote.facts import parse_facts
from dfaas_lab.remote.key_file import KeyFile
from dfaas_lab.remote.results_archive import UnreadableArchive, unpack
from dfaas_lab.remote.ssh_config import resolve
from dfaas_lab.services.gateway import Gateway
from dfaas_lab.services.prometheus import Prometheus
from dfaas_lab.services.queries import queries
from dfaas_lab.store import Store
from tests.unit.sample_files import T0, V1, Request, rows_of, text_of
from tests.unit.stored_runs import LOAD, frames_of

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
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

MATRIX = json.dumps(
    {
        "status": "success",
        "data": {
            "resultType": "matrix",
            "result": [
                {"metric": {"__name__": "up", "job": "j"},
                 "values": [[float(n), str(n / 3)] for n in range(30)]},
                {"metric": {"le": "+Inf"}, "values": [[1.0, "NaN"], [2.0, "+Inf"]]},
            ],
        },
    }
).encode()  # fmt: skip
TARGETS = json.dumps(
    {
        "status": "success",
        "data": {
            "activeTargets": [
                {"labels": {"job": "j", "instance": "i"}, "health": "up", "scrapeInterval": "15s",
                 "lastScrape": "2026-01-01T00:00:00.5Z", "lastError": ""}
            ]
        },
    }
).encode()  # fmt: skip
INSPECT = json.dumps(
    {
        "scenarios": {"a": {"executor": "constant-vus", "maxDuration": "10s", "maxVUs": 3}},
        "systemTags": ["vu"], "totalDuration": "1m10s", "maxVUs": 3,
    }
).encode()  # fmt: skip
SSH_CONFIG = b"""Host lab other
  HostName 127.0.0.1
  User tester
  Port 2222
  IdentityFile ~/.ssh/%r
  ConnectTimeout 5
Host *
  ServerAliveInterval 3
"""
RESULTS_CSV = (
    b"function_env,rate_function_env,success_rate_function_env,cpu_usage_function_env,"
    b"ram_usage_function_env,power_usage_function_env,replica_env,overloaded_function_env,"
    b"medium_latency_function_env,cpu_usage_idle_node,cpu_usage_node,ram_usage_idle_node,"
    b"ram_usage_node,ram_usage_idle_node_percentage,ram_usage_node_percentage,"
    b"power_usage_idle_node,power_usage_node,rest_seconds,overloaded_node\r\n"
    b"env,10,1.000,5.000,1000.000,nan,1,0,12,1.000,20.000,100.000,200.000,10.000,20.000,nan,nan,5,0\r\n"
)


def _tar() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name in ("samples.csv", "journal", "host.csv", "began", "written/a"):
            entry = tarfile.TarInfo(name)
            entry.size = 700
            tar.addfile(entry, io.BytesIO(b"x" * 700))
    return gzip.compress(content.getvalue(), 1)


TAR = _tar()

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


def answering(content: bytes) -> httpcore.NetworkBackend:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    return httpcore.MockBackend([f"{head}\r\nConnection: close\r\n\r\n".encode(), content])


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
    return there.evaluated("up"), there.clock_skew()


def of_matrix(content: bytes, folder: Path) -> Any:
    there = Prometheus("http://h", transport=answering(content))
    return there.scraped("up", start=0.0, end=60.0), there.evaluated("up", at=60.0)


def of_targets(content: bytes, folder: Path) -> Any:
    return Prometheus("http://h", transport=answering(content)).scrape_is_due(datetime.now(UTC))


def of_tar(content: bytes, folder: Path) -> Any:
    with tempfile.TemporaryDirectory(dir=folder) as into:
        try:
            unpack(cast("io.RawIOBase", io.BytesIO(content)), Path(into), wanted=WANTED, cut=CUT)
        except UnreadableArchive:
            return None  # its caller's typed error


def of_inspect(content: bytes, folder: Path) -> Any:
    try:
        return Requirements.of(content)
    except (ValueError, KeyError, TypeError, RecursionError):  # its caller's K6ScriptError
        return None


def of_environment(content: bytes, folder: Path) -> Any:
    script = CustomScript("a.js", {"a.js": b""}).knowing(content)
    return script.secrets.masked("a text")


def of_ssh_config(content: bytes, folder: Path) -> Any:
    path = folder / "config"
    path.write_bytes(content)
    return resolve(Host("lab"), config_path=path)


def of_manifest(content: bytes, folder: Path) -> Any:
    run = folder / "results" / "runs" / "run_id=20260101T000000-aaaaaa"
    run.mkdir(parents=True, exist_ok=True)
    (run / "manifest.json").write_bytes(content)
    return Run.load(run).status, Store(folder / "results").runs()


def of_script(content: bytes, folder: Path) -> Any:
    path = folder / "a.js"
    path.write_bytes(content)
    return CustomScript.of(path).files()


def of_results(content: bytes, folder: Path) -> Any:
    (folder / "results.csv").write_bytes(content)
    return import_csv(folder)


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
    "k6's log": (OUTPUT * 20, of_file("k6.log", read_log)),
    "host.csv": (HOST_CSV, of_file("host.csv", HostLoad.read)),
    "marker": (
        b'{"format": 1, "playbook_digest": "d", "k6_version": "1.1.0"}\nk6 v1.1.0',
        of_marker,
    ),
    "facts": (FACTS, of_facts),
    "gateway": (FUNCTIONS, of_gateway),
    "Prometheus": (SERIES, of_prometheus),
    "Prometheus, a matrix": (MATRIX, of_matrix),
    "Prometheus, what it scrapes": (TARGETS, of_targets),
    "tar": (TAR, of_tar),
    "k6 inspect": (INSPECT, of_inspect),
    "environment": (b"export A=b\nexport TOKEN='x y'\n" * 20, of_environment),
    "ssh configuration": (SSH_CONFIG, of_ssh_config),
    "manifest": (
        json.dumps({"format": 2, "status": "ok", "targets": ["mid"], "orders": {}}).encode(),
        of_manifest,
    ),
    "queries": (
        b"cpu: {counter: a_total, per: b_total}\nwarm: [{promql: 'up', scale: 1.5}]\n",
        of_file("q.yml", lambda path: queries(path, ["f"])),
    ),
    "key": (b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n", of_file("key", KeyFile.read)),
    "script": (b'import "./b.js"; open("c.json"); export default function () {}', of_script),
    "campaign": (
        json.dumps({"format": 1, "id": "c", "settings": {}, "created_at": "2026-01-01"}).encode(),
        of_file("campaign.json", lambda path: CampaignFolder(path.parent).read()),
    ),
    "comparison": (
        json.dumps(
            {"format": 1, "id": "c", "settings": {}, "seed": 1, "runs": {}, "done": True}
        ).encode(),
        of_file("c.json", Blocks.read),
    ),
    "results.csv": (RESULTS_CSV, of_results),
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
