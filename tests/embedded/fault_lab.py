"""Where faults are made: an embedded lab whose parts, network and controllers can fail apart.

Run as a script it is one controller: a process that measures, or attaches, and says how it ended.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import psutil
import pytest

from dfaas_lab import Lab, Run
from dfaas_lab.errors import DfaasLabError
from dfaas_lab.execution.run_handle import RunHandle
from dfaas_lab.local import LocalLab, start
from dfaas_lab.store import Store
from tests.embedded.faults import TcpProxy
from tests.embedded.ready import make_ready

ROOT = Path(__file__).parents[2]
# What was measured whole; the words for the rest say what happened.
COMPLETE = {"ok", "slo_failed"}
_RUNNING = re.compile(r"^running \((?:(\d+)m)?([\d.]+)s\)", re.MULTILINE)
_AT_ONCE = 5
_STILL_S = 1.0  # for how long a busy machine may stand still
T = TypeVar("T")


class Wire(TcpProxy):
    """A proxy that can also refuse, as a host does whose sshd is gone."""

    def refuse(self) -> None:
        """Reset all connections and let none in."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def let_in(self) -> None:
        """Listen again, on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._thread(self._accept)


class FaultLab:
    """An embedded lab with one provisioned generator; each test gets a :class:`Ground` of its own.

    Args:
        folder: Where results and lab files go.
        functions: More functions, by name and command.
        local: Options of :func:`dfaas_lab.local.start`.
    """

    def __init__(
        self, folder: Path, functions: dict[str, list[str]] | None = None, **local: Any
    ) -> None:
        self.folder = folder
        self.local: LocalLab = start(functions=functions, **local)
        self._grounds: list[Ground] = []
        self._numbers = itertools.count()
        try:
            with self._file(folder / "whole.json", self.local.facts()) as lab:
                make_ready(lab)
        except BaseException:
            self.local.close()
            raise

    def _file(self, path: Path, facts: dict[str, Any]) -> Lab:
        path.write_text(json.dumps(facts))
        return Lab.from_file(path)

    def ground(self, name: str) -> Ground:
        """Return a ground: a workspace root, a wire and a store that no other test uses."""
        number = next(self._numbers)
        root = self.local.path / f"runs-{number}"
        root.mkdir(mode=0o1777)
        for marker in Path(self.local.workspace_root).glob(".provisioned-*"):
            shutil.copy2(marker, root)
        ground = Ground(self.local, root, self.folder / f"{number}-{name}")
        self._grounds.append(ground)
        return ground

    def ground_of(self, run: Run) -> Ground:
        """The ground on which a run was measured."""
        return next(one for one in self._grounds if run.path.is_relative_to(one.store.root))

    @contextlib.contextmanager
    def at_once(
        self, work: Mapping[str, Callable[[Ground], T]]
    ) -> Iterator[Mapping[str, Future[T]]]:
        """Do work that is mostly waiting, some at a time, each on a ground of its own."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            yield {name: pool.submit(self._alone, name, do) for name, do in work.items()}

    def _alone(self, name: str, do: Callable[[Ground], T]) -> T:
        return do(self.ground(re.sub(r"\W+", "-", name)))

    def __enter__(self) -> FaultLab:
        return self

    def __exit__(self, *_: object) -> None:
        for ground in self._grounds:
            ground.close()
        self.local.close()


class Ground:
    """One generator as one test has it.

    Args:
        local: The embedded lab.
        root: The workspace root, with the marker of provisioning in it.
        folder: Where the lab file and the results go.
    """

    def __init__(self, local: LocalLab, root: Path, folder: Path) -> None:
        self.root = root
        self.store = Store(folder / "results")
        self.wire = Wire(local.ssh.port)
        self.file = folder / "lab.json"
        self._labs: list[Lab] = []
        folder.mkdir()
        # The host key is known by the port that one connects to.
        key = local.ssh.known_hosts.read_text().split(" ", 1)[1]
        known_hosts = folder / "known_hosts"
        known_hosts.write_text(f"[127.0.0.1]:{self.wire.port} {key}")
        facts = local.facts()
        facts["store"] = str(self.store.root)
        facts["generators"][0] |= {
            "port": self.wire.port,
            "known_hosts": str(known_hosts),
            "workspace_root": str(root),
        }
        self.file.write_text(json.dumps(facts))

    def lab(self) -> Lab:
        """Return the lab as a new session has it; it is closed with the ground."""
        lab = Lab.from_file(self.file)
        self._labs.append(lab)
        return lab

    def controller(self, **asked: Any) -> Controller:
        """Start another process that calls ``run_k6`` with these arguments."""
        return Controller({"lab": str(self.file), "run_k6": asked})

    def attacher(self, run_id: str) -> Controller:
        """Start another process that calls ``lab.attach``."""
        return Controller({"lab": str(self.file), "attach": run_id})

    def processes(self) -> list[psutil.Process]:
        """What runs in the workspaces: k6, supervisors, whoever follows them."""
        return [one for one in psutil.process_iter() if _is_inside(one, self.root)]

    def k6(self) -> list[psutil.Process]:
        """The k6 that run here."""
        return [one for one in self.processes() if _program(one) == "k6"]

    def workspaces(self) -> list[Path]:
        """The workspaces that are there."""
        return [path for path in self.root.iterdir() if path.is_dir()]

    def working_k6(self, handle: RunHandle | None = None, *, seconds: float) -> psutil.Process:
        """Wait until a k6 has put load on for so long, and return it.

        Args:
            handle: The run, where it is one of this process: how it ended tells more.
            seconds: For how long it has put load on.
        """

        def found() -> psutil.Process | None:
            if handle is not None and handle.done:
                raise AssertionError(f"{handle.wait()!r} has ended")
            return next((k6 for k6 in self.k6() if _loads(k6, seconds)), None)

        return wait_for(found, self._told, within_s=60)

    def _told(self) -> str:
        journals = [path.read_text(errors="replace") for path in self.root.glob("*/journal")]
        return f"k6 at work; running: {[_named(one) for one in self.processes()]}; {journals}"

    def wait_for_no_process(self, within_s: float) -> None:
        """Fail with what still runs on the generator after a while."""
        wait_for(
            lambda: not self.processes(),
            lambda: f"the end of {[_named(one) for one in self.processes()]}",
            within_s=within_s,
        )

    def runs(self) -> list[Run]:
        """All runs in the store, oldest first."""
        return [Run(self.store.find(run_id)) for run_id in self.store.run_ids()]

    def works_again(self) -> None:
        """The next run, of a new session, is as if nothing had been."""
        run = self.lab().target.run_k6(load={"env": 5}, duration="1s", progress=False)
        assert run.status == "ok"
        whole(run, 5)
        self.wait_for_no_process(within_s=10)

    def close(self) -> None:
        """Close the connections and the wire."""
        self.wire.close()
        for lab in self._labs:
            lab.close()


def selected(request: pytest.FixtureRequest, work: Mapping[str, T]) -> dict[str, T]:
    """Return the scenarios that are asked for in this session, by the parameter ``what``."""
    asked = {
        item.callspec.params.get("what")
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec")
    }
    return {name: do for name, do in work.items() if name in asked}


class Controller:
    """A process that controls a run. Its end is told by :meth:`end`."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.signalled_at = 0.0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.embedded.fault_lab", json.dumps(asked)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise AssertionError(self._process.communicate()[1])

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal; one that has ended takes none."""
        self.signalled_at = time.monotonic()
        self._process.send_signal(number)

    def end(self, within_s: float = 60.0) -> dict[str, Any]:
        """Wait for its end and return what it said; nothing where it was killed."""
        try:
            told, errors = self._process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise AssertionError(f"the controller did not end within {within_s} s") from None
        if self._process.returncode == -signal.SIGKILL:
            return {}
        assert told, errors
        said: dict[str, Any] = json.loads(told.splitlines()[-1])
        return said

    def __enter__(self) -> Controller:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


def wait_for(
    look: Callable[[], T | None],
    what: str | Callable[[], str],
    *,
    within_s: float,
    every_s: float = 0.1,
) -> T:
    """Return what ``look`` finds, or fail and say what was waited for."""
    until = time.monotonic() + within_s
    while not (found := look()):
        if time.monotonic() > until:
            waited = what if isinstance(what, str) else what()
            raise AssertionError(f"waited {within_s} s for {waited}")
        time.sleep(every_s)
    return found


def new_seed() -> int:
    """A seed that is printed: what it finds can be repeated with it."""
    seed = random.SystemRandom().randrange(10_000)
    print(f"seed {seed}")
    return seed


def all_well(ends: Mapping[str, Future[Any]], name: str = "") -> None:
    """Raise what went wrong in all work whose name begins so, each with its whole name."""
    chosen = {whole: end for whole, end in ends.items() if whole.startswith(name)}
    failures = []
    for whole_name, end in chosen.items():
        error = end.exception()
        if error is not None:
            error.add_note(whole_name)
            failures.append(error)
    assert chosen, f"there is no {name}"
    if failures:
        raise BaseExceptionGroup(f"{len(failures)} of {len(chosen)}", failures)


def once(run: Run) -> None:
    """No sample is there twice, and what k6 counted itself is what is stored."""
    keys = ["target", "iteration", "vu", "vu_iteration"]
    assert run.requests.select(keys).is_duplicated().sum() == 0
    rows = run.requests.group_by("iteration", "function").len().rows()
    stored = {(iteration, function): count for iteration, function, count in rows}
    for row in run.summary.iter_rows(named=True):
        assert row["requests"] == stored.get((row["iteration"], row["function"]), 0)
    for iteration in run.summary["iteration"].unique():
        counted = k6_count(run, iteration)
        if counted is not None:
            assert run.requests.filter(pl.col("iteration") == iteration).height == counted


def k6_count(run: Run, iteration: int) -> int | None:
    """How many requests k6's own summary counts; None where k6 could not write it."""
    path = next(run.path.glob(f"iteration={iteration}/target=*/summary.json"), None)
    if path is None or not path.stat().st_size:
        return None
    metrics = json.loads(path.read_text())["metrics"]
    return int(metrics["http_reqs"]["values"]["count"]) if "http_reqs" in metrics else 0


def whole(run: Run, asked: float, *, lost: bool = False) -> None:
    """Every iteration has all of its samples; the verdict doubts nothing but the machine's speed.

    Args:
        run: The run.
        asked: Rate x duration of each function.
        lost: Whether it did not come to its end, which is doubted as well.
    """
    once(run)
    assert set(run.summary["status"]) <= COMPLETE
    assert None not in {k6_count(run, iteration) for iteration in run.summary["iteration"]}
    for row in run.summary.iter_rows(named=True):
        # What k6 counts is there to the last sample. A machine that stands still lets it count
        # less: what it could not begin in time is dropped, or at its end not even that.
        begun = row["requests"] + row["dropped"] + row["unfinished"]
        assert asked - _STILL_S * row["rate_rps"] <= begun <= asked + 1, row
    doubts = [str(doubt) for doubt in run.verdict.doubts]
    noise = ("CPU", "blocked", "drops", "in flight", "requests")
    said = [text for text in doubts if not any(word in text for word in noise)]
    ended = ["status:", "iterations:"] if lost else []
    assert [text.partition(" ")[0] for text in said] == ended, said


def _is_inside(process: psutil.Process, root: Path) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.cwd().startswith(f"{root}/")
    except psutil.Error:
        return False


def _program(process: psutil.Process) -> str:
    try:
        # Not exe(): it keeps the name of the shell that becomes k6 a moment later.
        return Path(f"/proc/{process.pid}/exe").readlink().name
    except OSError:
        return ""


def _named(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())} in {process.cwd()}"
    except psutil.Error:
        return f"{process.pid}, which has ended"


def _loads(k6: psutil.Process, seconds: float) -> bool:
    """Whether k6 has put load on for so long: it says so once a second."""
    with contextlib.suppress(psutil.Error, OSError):
        journal = (Path(k6.cwd()) / "journal").read_text(errors="replace")
        times = _RUNNING.findall(journal)
        return any(int(minutes or 0) * 60 + float(rest) >= seconds for minutes, rest in times)
    return False


def main() -> None:
    """Be a controller."""
    # A shell may have started us with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    asked = json.loads(sys.argv[1])
    said: dict[str, Any] = {"error": None, "text": ""}
    run: Run | None = None
    lab: Lab | None = None
    try:
        print("ready", flush=True)
        lab = Lab.from_file(asked["lab"])
        if "attach" in asked:
            run = lab.attach(asked["attach"])
        else:
            run = lab.target.run_k6(**_values(asked["run_k6"]), progress=False)
    except KeyboardInterrupt:
        said |= {"error": "KeyboardInterrupt", "raised_at": time.monotonic()}
        run = lab.target.last_run if lab is not None else None
    except DfaasLabError as error:
        said |= {"error": type(error).__name__, "text": str(error)}
        run = error.run
    if run is not None:
        said |= {
            "id": run.id,
            "status": run.status,
            "statuses": run.summary["status"].to_list(),
            "requests": run.requests.height,
        }
    print(json.dumps(said), flush=True)


def _values(asked: dict[str, Any]) -> dict[str, Any]:
    from dfaas_lab import Limits

    limits = asked.get("limits")
    return asked | ({"limits": Limits(**limits)} if limits else {})


if __name__ == "__main__":
    main()
