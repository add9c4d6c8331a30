"""Generators that go wrong under a run: each a typed error, what was measured kept, the next works.

Some faults need rights that only a process of its own can have or lack. For these this module is a
script; its argument is the folder for its files.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab import Function, Target
from dfaas_lab.errors import ConfigError, K6Crashed, K6Interrupted, K6Missing, WorkspaceError
from dfaas_lab.local.parts import LocalSsh
from tests.embedded.fault_lab import (
    ROOT,
    FaultLab,
    Ground,
    k6_count,
    once,
    selected,
    wait_for,
    whole,
)
from tests.scenarios import scenarios

SOMEONE_ELSE = 65534
ELSEWHERE = [
    "root is not writable",
    "disk becomes full",
    "disk is full for a moment",
    "disk is full already",
]
# Each would change the load, or send it elsewhere, if it came through to k6.
ENVIRONMENT = {
    "K6_VUS": "1",
    "K6_DURATION": "100ms",
    "K6_ITERATIONS": "1",
    "K6_OUT": "json=elsewhere.json",
    "K6_NO_SUMMARY": "true",
    "K6_HTTP_DEBUG": "full",
    "K6_DISCARD_RESPONSE_BODIES": "false",
    "K6_SYSTEM_TAGS": "url",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "http_proxy": "http://127.0.0.1:1",
    "NO_COLOR": "",
    "GOMAXPROCS": "1",
}


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultLab]:
    with FaultLab(tmp_path_factory.mktemp("generator")) as faults:
        yield faults


@contextlib.contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Do something in a thread while the block runs; what it raises fails the test."""
    raised: list[BaseException] = []

    def work() -> None:
        try:
            act()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)
        assert not raised, raised


@pytest.mark.slow
def test_k6_that_is_gone_between_two_iterations(faults: FaultLab) -> None:
    ground = faults.ground("k6-gone")
    lab = ground.lab()
    k6_path = Path(lab.generator._session.k6_path())

    def remove() -> None:
        wait_for(
            lambda: any(ground.store.root.glob("runs/*/iteration=1/target=*")),
            "a result",
            within_s=60,
        )
        k6_path.unlink()

    with meanwhile(remove), pytest.raises(K6Missing) as missing:
        lab.target.run_k6(2, load={"env": 5}, duration="1s", rest="3s", progress=False)
    error = missing.value
    assert "provision(force=True)" in str(error)
    assert error.run is not None
    assert error.run.status == "failed"
    first = error.run.summary.filter(pl.col("iteration") == 1)
    assert first["status"].to_list() == ["ok"]
    assert first["requests"].item() == k6_count(error.run, 1)
    ground.wait_for_no_process(within_s=10)
    with pytest.raises(K6Missing):
        ground.lab().target.run_k6(load={"env": 5}, duration="1s", progress=False)
    lab.generator.provision(force=True, progress=False)
    ground.works_again()


def test_samples_that_are_cut_off_are_there_up_to_the_cut(faults: FaultLab) -> None:
    ground = faults.ground("truncated")
    target = ground.lab().target
    kept: list[int] = []

    def cut_and_kill() -> None:
        k6 = ground.working_k6(seconds=3)
        k6.suspend()  # it writes no more
        samples = Path(k6.cwd()) / "samples.csv"
        content = samples.read_bytes()
        # In the middle of the last line of a request, so that this one is no whole request.
        cut = content.rindex(b"\nhttp_req_failed,") + 20
        os.truncate(samples, cut)
        kept.append(content[:cut].count(b"\nhttp_reqs,"))
        k6.send_signal(signal.SIGKILL)

    with meanwhile(cut_and_kill), pytest.raises(K6Crashed) as crashed:
        target.run_k6(load={"env": 10}, duration="20s", progress=False)
    run = crashed.value.run
    assert run is not None
    assert run.status == "failed"
    assert kept[0] > 10
    assert kept[0] - run.requests.height in (0, 1)
    once(run)
    ground.wait_for_no_process(within_s=10)
    ground.works_again()


def test_a_supervisor_that_is_killed_takes_k6_with_it(faults: FaultLab) -> None:
    ground = faults.ground("supervisor")
    target = ground.lab().target

    def kill() -> None:
        k6 = ground.working_k6(seconds=2)
        os.kill(int((Path(k6.cwd()) / "supervisor").read_text().split()[0]), signal.SIGKILL)

    with meanwhile(kill), pytest.raises(K6Interrupted, match="supervisor") as stopped:
        target.run_k6(load={"env": 10}, duration="60s", progress=False)
    run = stopped.value.run
    assert run is not None
    assert run.status == "interrupted"
    assert run.requests.height > 0
    once(run)
    # Whoever watched for it must not stay: k6's pid may be somebody else's one day.
    ground.wait_for_no_process(within_s=10)
    ground.works_again()


def _environment_of_a_command(ssh: LocalSsh) -> str:
    """What a command finds in its environment there, without what our commands do about it."""
    options = [f"UserKnownHostsFile={ssh.known_hosts}", "BatchMode=yes", "IdentitiesOnly=yes"]
    argv = ["ssh", "-F", "none", "-i", str(ssh.key), "-p", str(ssh.port), f"{ssh.user}@{ssh.host}"]
    argv[1:1] = [word for option in options for word in ("-o", option)]
    return subprocess.run(
        [*argv, "env"], capture_output=True, text=True, timeout=30, check=True
    ).stdout


def test_variables_of_the_generator_do_not_change_the_load(faults: FaultLab) -> None:
    ground = faults.ground("variables")
    faults.local.ssh_server.restart(env=ENVIRONMENT)
    try:
        seen = _environment_of_a_command(faults.local.ssh)
        run = ground.lab().target.run_k6(load={"env": 10}, duration="2s", progress=False)
    finally:
        faults.local.ssh_server.restart(env={})
    assert "K6_VUS=1" in seen
    assert run.status == "ok"
    whole(run, 20)
    assert set(run.requests["http_status"]) == {200}
    ground.works_again()


def test_a_gateway_whose_clock_is_off_is_told_by_the_verdict(faults: FaultLab) -> None:
    ground = faults.ground("clock")
    [gateway] = faults.local.gateways
    gateway.restart(clock_skew_s=90)
    try:
        run = ground.lab().target.run_k6(load={"env": 10}, duration="2s", progress=False)
    finally:
        gateway.restart(clock_skew_s=0)
    assert run.status == "ok"
    once(run)
    assert not run.verdict.valid
    [clock] = [doubt for doubt in run.verdict.doubts if "clock" in doubt.what]
    assert abs(float(clock.measured.split()[0]) - 90) < 5
    assert str(run.verdict).startswith("DOUBTFUL: ")
    ground.works_again()


@pytest.mark.slow
def test_two_controllers_measure_on_one_generator_at_once(faults: FaultLab) -> None:
    ground = faults.ground("two")
    orders = {"iterations": 2, "load": {"env": 5}, "duration": "3s"}
    with ground.controller(**orders) as one, ground.controller(**orders) as other:
        ends = [one.end(), other.end()]
    assert [end["error"] for end in ends] == [None, None], ends
    assert [end["status"] for end in ends] == ["ok", "ok"]
    runs = ground.runs()
    assert {run.id for run in runs} == {end["id"] for end in ends}
    assert len(runs) == 2
    for run in runs:
        whole(run, 15)
    first, second = (run.requests["started_at"] for run in runs)
    assert max(first.min(), second.min()) < min(first.max(), second.max()), "not at once"
    ground.wait_for_no_process(within_s=10)
    assert ground.workspaces() == []
    ground.works_again()


@pytest.mark.parametrize("what", scenarios(ELSEWHERE, {"disk becomes full"}))
def test_a_generator_whose(elsewhere: Future[dict[str, str]], what: str) -> None:
    failures = elsewhere.result()
    assert failures[what] == "", failures[what]


@pytest.fixture(scope="module")
def elsewhere(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Future[dict[str, str]]]:
    """Faults that need mounts of their own, or that root must not be above, in such a process."""
    asked = [*selected(request, FAULTS)]
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(measure_elsewhere, tmp_path_factory.mktemp("elsewhere"), asked)


def measure_elsewhere(folder: Path, asked: list[str]) -> dict[str, str]:
    # Root may write anywhere: without that right even root is somebody like everybody.
    rights = "-dac_override,-dac_read_search,-fowner"
    own_mounts = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    prefix = [*own_mounts, "setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]
    try:
        probe = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        pytest.skip(f"there is no {error.filename} on this machine")
    if probe.returncode != 0:
        pytest.skip(f"this machine does not allow it: {' '.join(prefix)}: {probe.stderr.strip()}")
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "tests.embedded.test_faults_generator", folder, *asked],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    failures: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return failures


def not_writable(ground: Ground) -> None:
    """Nobody may write to the workspace root."""
    ground.root.chmod(0o555)
    refused(ground, "Permission denied", f"write to {ground.root}")
    ground.root.chmod(0o1777)
    ground.works_again()


def test_a_root_that_is_a_symlink(faults: FaultLab) -> None:
    ground = faults.ground("symlink")
    elsewhere = ground.root.rename(ground.root.with_name("elsewhere"))
    ground.root.symlink_to(elsewhere)
    refused(ground, "symlink", f"Remove {ground.root}")
    assert list(elsewhere.glob("[!.]*")) == []
    ground.root.unlink()
    elsewhere.rename(ground.root)
    ground.works_again()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to someone else")
def test_a_root_that_is_someone_elses(faults: FaultLab) -> None:
    ground = faults.ground("someone-else")
    os.chown(ground.root, SOMEONE_ELSE, SOMEONE_ELSE)
    refused(ground, "someone else", f"Remove {ground.root}")
    os.chown(ground.root, os.geteuid(), os.getegid())
    ground.works_again()


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_root_that_others_may_write_to(faults: FaultLab, mode: int) -> None:
    ground = faults.ground(f"open-{mode:o}")
    ground.root.chmod(mode)
    refused(ground, "others may write", f"chmod +t {ground.root}")
    ground.root.chmod(mode | 0o1000)
    ground.works_again()


def refused(ground: Ground, why: str, fix: str, target: Target | None = None) -> None:
    """Measure in vain; nothing is run, and the error names the place, why, and what to do."""
    before = {run.id for run in ground.runs()}
    with pytest.raises(WorkspaceError) as caught:
        (target or ground.lab().target).run_k6(load={"env": 5}, duration="20s", progress=False)
    error = caught.value
    assert error.host == "127.0.0.1"
    assert error.path.startswith(f"{ground.root}/")
    assert str(error).endswith(error.hint)
    assert why in error.message
    assert fix in error.hint
    assert ground.processes() == []
    # One that was begun is kept, and named.
    assert [str(path) for path in ground.workspaces()] in ([], [error.path])
    new = [run for run in ground.runs() if run.id not in before]
    assert [run.status for run in new] in ([], ["failed"])
    assert all(run.requests.is_empty() for run in new)


def disk_full(ground: Ground) -> None:
    """The disk fills in the middle."""
    with small_disk(ground):
        run_out_of_room(ground, meanwhile(lambda: fill_when_it_works(ground)))
        ground.wait_for_no_process(within_s=10)
        (ground.root / "ballast").unlink()
        ground.works_again()


def disk_full_for_a_moment(ground: Ground) -> None:
    """k6 writes no sample any more, though there is room again before it ends."""

    def fill_for_a_moment() -> None:
        fill_when_it_works(ground)
        time.sleep(2)
        (ground.root / "ballast").unlink()

    with small_disk(ground):
        run_out_of_room(ground, meanwhile(fill_for_a_moment))
        ground.works_again()


def run_out_of_room(ground: Ground, fault: AbstractContextManager[None]) -> None:
    """Measure while the disk fills; what was written until then is stored, and it is told."""
    with fault, pytest.raises(WorkspaceError) as caught:
        ground.lab().target.run_k6(load={"env": 10}, duration="7s", progress=False)
    error = caught.value
    assert re.search(r"the disk under .* full", error.message), error.message
    assert "workspace_root" in error.hint
    run = error.run
    assert run is not None
    assert run.status == "failed"
    assert 0 < run.requests.height < 70
    assert run.requests.select("vu", "vu_iteration").is_duplicated().sum() == 0


def fill_when_it_works(ground: Ground) -> None:
    ground.working_k6(seconds=3)
    fill_disk(ground)


def disk_full_at_upload(ground: Ground) -> None:
    """There is no room even for the script: known before anything is sent, or noticed there."""
    with small_disk(ground):
        of_lab = ground.lab().target
        large = Function("env", method="POST", body=b"x" * 3_000_000)
        target = Target(
            "large", gateway=of_lab.gateway, generator=of_lab.generator, functions=[large]
        )
        refused(ground, "No space left", "Make room", target)
        for kept in ground.workspaces():
            shutil.rmtree(kept)
        fill_disk(ground)
        with pytest.raises(ConfigError, match="workspace_root"):
            ground.lab().target.run_k6(load={"env": 5}, duration="1s", progress=False)
        (ground.root / "ballast").unlink()
        ground.works_again()


@contextlib.contextmanager
def small_disk(ground: Ground) -> Iterator[None]:
    markers = {path.name: path.read_bytes() for path in ground.root.glob(".provisioned-*")}
    options = "size=1m,mode=1777"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", ground.root], check=True)
    for name, content in markers.items():
        (ground.root / name).write_bytes(content)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", ground.root], check=True)


def fill_disk(ground: Ground) -> None:
    with (ground.root / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


FAULTS = dict(
    zip(
        ELSEWHERE,
        (not_writable, disk_full, disk_full_for_a_moment, disk_full_at_upload),
        strict=True,
    )
)


def main() -> None:
    """Let the faults be, all at once, and print what failed."""
    folder, *asked = sys.argv[1:]
    work = {fault: FAULTS[fault] for fault in asked}
    with FaultLab(Path(folder)) as faults, faults.at_once(work) as ends:
        failures = {fault: end.exception() for fault, end in ends.items()}
    told = {
        fault: "".join(traceback.format_exception(error)) if error else ""
        for fault, error in failures.items()
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
