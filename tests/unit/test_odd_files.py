"""A FIFO, a device or a huge file in the place of any file that is read: refused, nothing waits."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfaas_lab import DfaasLabError, Function, Run
from dfaas_lab.campaign.csv_import import import_csv
from dfaas_lab.campaign.files import CampaignFolder
from dfaas_lab.certificates import Trust
from dfaas_lab.config import Host
from dfaas_lab.errors import StoreError
from dfaas_lab.interleaved import Blocks
from dfaas_lab.k6.custom_script import CustomScript
from dfaas_lab.k6.generator_load import HostLoad, read_log
from dfaas_lab.labfile import read
from dfaas_lab.remote.connection import connect
from dfaas_lab.services.queries import queries
from dfaas_lab.services.tls import ssl_context
from dfaas_lab.store import Store
from tests.unit.stored_runs import frames_of
from tests.unit.test_regular_file import ODD

KINDS = [make for make in ODD if make.__name__ != "circle"]


def key(path: Path) -> object:
    return connect(Host("127.0.0.1", user="nobody", port=9, key=str(path)))


def known_hosts(path: Path) -> object:
    return connect(Host("127.0.0.1", user="nobody", port=9, known_hosts=str(path)))


def archive(path: Path) -> object:
    return Run.load(path)


def script(path: Path) -> object:
    return CustomScript.of(path)


def beside_a_script(path: Path) -> object:
    main = path.with_name("main.js")
    main.write_text(f'import "./{path.name}"; open("{path.name}");')
    made = CustomScript.of(main)
    assert list(made.sources) == ["main.js"]  # it is left out, and k6 says that it misses it
    return made


def given_with_a_script(path: Path) -> object:
    main = path.with_name("main.js")
    main.write_text("export default function () {}")
    return CustomScript.of(main, files=[path])


def body(path: Path) -> object:
    return Function("f", body=path).body_bytes()


def authority(path: Path) -> object:
    return ssl_context(Trust(str(path)))


def lab_file(path: Path) -> object:
    return read(path.rename(path.with_suffix(".yml")))


def asked_queries(path: Path) -> object:
    return queries(str(path), ["f"])


def manifest(path: Path) -> object:
    run = path.parent / "results" / "runs" / "run_id=20260101T000000-aaaaaa"
    run.mkdir(parents=True)
    path.rename(run / "manifest.json")
    return Run.load(run)


def campaign(path: Path) -> object:
    folder = path.parent / "campaigns" / "c"
    folder.mkdir(parents=True)
    path.rename(folder / "campaign.json")
    return CampaignFolder(folder).read()


def blocks(path: Path) -> object:
    return Blocks.read(path)


def existing_results(path: Path) -> object:
    path.rename(path.with_name("results.csv"))
    return import_csv(path.parent)


READERS = [
    key, known_hosts, archive, script, beside_a_script, given_with_a_script, body, authority,
    lab_file, asked_queries, manifest, campaign, blocks, existing_results,
]  # fmt: skip


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_it_is_refused_at_once(
    tmp_path: Path, reader: Callable[[Path], object], make: Callable[[Path], None]
) -> None:
    path = tmp_path / "odd"
    make(path)
    tracemalloc.start()
    try:
        reader(path)
    except DfaasLabError as error:
        told = bool(error.hint)
    else:
        told = reader in (beside_a_script, given_with_a_script)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert told
    assert peak < 100_000_000


@pytest.mark.timeout(30)
@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(
    "name", ["k6.log", "host.csv", "began", "left-out", "requests.parquet", "summary.parquet"]
)
def test_a_file_of_a_stored_run_may_be_one(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    """A store that a stranger gave: the run is read as far as it goes, or refused."""
    folder = Store(tmp_path / "results").create_run(
        "20260101T000000-aaaaaa", {"targets": ["mid"], "status": "ok", "orders": {}}
    )
    raw: dict[str, Any] = {"k6.log": b"log\n", "host.csv": b"1,2,3,4,5\n"}
    folder.write_iteration(1, frames_of(tmp_path, folder.run_id, 1), raw, target="mid")
    path = next(folder.path.rglob("summary.parquet")).parent / name
    path.unlink(missing_ok=True)
    make(path)
    if path.lstat().st_size > 10**9 and name == "k6.log":
        path.unlink()  # a log has no bound of its own: it is read line by line
        path.write_text("x\n" * 10**6)
    run = Run(folder)
    looks = (lambda: run.summary, lambda: run.requests, lambda: run.verdict, lambda: run.files)
    for look in looks:
        try:
            look()
        except DfaasLabError as error:
            assert error.hint  # noqa: PT017 - either is right
    assert repr(run)


def test_the_raw_readers_say_nothing_of_one(tmp_path: Path) -> None:
    for make in KINDS[:2]:
        path = tmp_path / make.__name__
        make(path)
        assert HostLoad.read(path) == HostLoad()
        assert read_log(path) == ({}, "")


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"[]",
        b'{"format": 2}',
        b'{"format": 1, "settings": 5}',
        b'{"a": ' * 90 + b"1" + b"}" * 90,
    ],
)
def test_a_damaged_comparison_is_told_with_its_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "blocks.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"blocks\.json is damaged"):
        Blocks.read(path)
