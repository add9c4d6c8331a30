"""What an iteration costs beside its load: k6 alone, by ssh, by Ansible, and by ``run_k6``.

All on one embedded generator, with one plan, turn about. The overhead of a way is its wall time
less what the load lasts: the plan ends half an interval after its last request.
"""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from dfaas_lab import Lab, Target
from dfaas_lab.remote.openssh_arguments import ssh_arguments
from dfaas_lab.remote.ssh_config import ResolvedHost, resolve

ROUNDS = int(os.environ.get("DFAAS_LAB_BENCH_ROUNDS", "15"))
ANSIBLE_EVERY = 5  # of so many rounds: it takes much longer, and varies less
RATE_RPS, DURATION_S, IN_A_RUN = 50, 1, 3
LOAD = {"env": RATE_RPS}
LASTS_S = DURATION_S - 0.5 / RATE_RPS
MOST_OVER_FLOOR, LEAST_BELOW_ANSIBLE = 3.0, 50.0
ITERATIONS, MOST_OVER_FEW = 21, 1.3
TARGETS, TOGETHER_S, MOST_OVER_ONE = 8, 5, 1.3

FLOOR, SSH, ANSIBLE = "`k6 run`", "`ssh host k6 run`", "`ansible-playbook`"
OURS, ALONE = f"`run_k6({IN_A_RUN})`, each iteration", "`run_k6(1)`, with all that a run needs"
_PLAYBOOK = Path(__file__).with_name("one_iteration.yml")
_ENV = {"K6_AUTO_EXTENSION_RESOLUTION": "false"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab.local(targets=TARGETS, store=tmp_path_factory.mktemp("store")) as lab:
        lab.provision(progress=False)
        yield lab


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@dataclass(frozen=True)
class Ways:
    """The ways to measure a target once, each in a folder that is there already.

    Args:
        target: The target.
        folder: Where the ways other than ours keep what they need.
    """

    target: Target
    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "plan").mkdir()
        order = self.target._spec(1, load=LOAD, duration=f"{DURATION_S}s")
        for name, content in order.plan.files().items():
            (self.folder / "plan" / name).write_bytes(content)

    def bare(self) -> None:
        """``k6 run``, typed on the generator."""
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), **_ENV}
        _run(self._k6, cwd=self.folder / "plan", env=env)

    def by_ssh(self) -> None:
        """The same over a connection of its own; the results stay there."""
        env = shlex.join(["env", *(f"{name}={value}" for name, value in _ENV.items())])
        place = shlex.quote(str(self.folder / "plan"))
        host = self._host
        where = ["-p", str(host.port), "-l", host.user, host.address]
        _run(["ssh", *ssh_arguments(host), *where, f"cd {place} && {env} {shlex.join(self._k6)}"])

    def by_ansible(self) -> None:
        """Sent, run, fetched and removed by a playbook; nothing is parsed."""
        fetched = self.folder / "fetched" / "samples.csv"
        fetched.unlink(missing_ok=True)
        inventory = self.folder / "inventory"
        inventory.write_text(f"generator {self._inventory}\n")
        playbook = [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory)]
        kept = {name: value for name, value in os.environ.items() if "ANSIBLE" not in name}
        # A connection that ssh keeps for the next run ends with the lab.
        own = {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "cp"), "LC_ALL": "C.UTF-8"}
        _run([*playbook, str(_PLAYBOOK)], env=kept | own)
        assert fetched.stat().st_size > 1000

    def by_run_k6(self, iterations: int = IN_A_RUN) -> None:
        """Ours: sent, run, fetched, parsed, stored and removed."""
        asked = {"load": LOAD, "duration": f"{DURATION_S}s", "progress": False}
        run = self.target.run_k6(iterations, **asked)
        assert any(run.path.glob(f"iteration={iterations}/target=*/requests.parquet"))

    def by_run_k6_alone(self) -> None:
        """The same for one iteration: the run's folder and provenance are its own, too."""
        self.by_run_k6(1)

    @property
    def _k6(self) -> list[str]:
        samples = "csv=fileName=samples.csv,timeFormat=unix_nano"
        options = ["--no-color", "--no-usage-report", "--address", "", "--out", samples]
        return [self.target.generator._session.k6_path(), "run", *options, "script.js"]

    @property
    def _host(self) -> ResolvedHost:
        return resolve(self.target.generator.host)

    @property
    def _inventory(self) -> str:
        host = self._host
        variables = {
            "ansible_host": host.address,
            "ansible_port": host.port,
            "ansible_user": host.user,
            "ansible_ssh_common_args": shlex.join(ssh_arguments(host)),
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": self.folder / "ansible",
            "plan": self.folder / "plan",
            "folder": self.folder / "there",
            "results": self.folder / "fetched",
            "k6": self.target.generator._session.k6_path(),
        }
        return " ".join(f"{name}={shlex.quote(str(value))}" for name, value in variables.items())


def _run(argv: list[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def first(lab: Lab) -> Target:
    return next(iter(lab.targets.values()))


@pytest.fixture(scope="module")
def medians(first: Target, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Return the median overhead of each way, in seconds."""
    ways = Ways(first, tmp_path_factory.mktemp("ways"))
    often: dict[str, Callable[[], None]] = {
        FLOOR: ways.bare,
        SSH: ways.by_ssh,
        OURS: ways.by_run_k6,
        ALONE: ways.by_run_k6_alone,
    }
    seldom: dict[str, Callable[[], None]] = {ANSIBLE: ways.by_ansible}
    ways.by_run_k6()  # imports and connections are paid once for a session
    taken: dict[str, list[float]] = {name: [] for name in (*often, *seldom)}
    for number in range(ROUNDS):
        for name, way in (often | (seldom if number % ANSIBLE_EVERY == 0 else {})).items():
            iterations = IN_A_RUN if name == OURS else 1
            taken[name].append(seconds(way) / iterations - LASTS_S)
    found = {name: statistics.median(all_s) for name, all_s in taken.items()}
    print("\n\n| one iteration, beside its load | median | in times of `k6 run` |")
    print("| --- | ---: | ---: |")
    for name, median_s in found.items():
        print(f"| {name} | {median_s:.3f} s | {median_s / found[FLOOR]:.1f} |")
    ratios = [f"{found[ANSIBLE] / found[name]:.0f}" for name in (OURS, ALONE)]
    print(f"\n{ANSIBLE} takes {ratios[0]} times as long as {OURS}, {ratios[1]} times {ALONE}")
    return found


def test_run_k6_is_nearly_as_fast_as_typing_it(medians: dict[str, float]) -> None:
    assert medians[OURS] <= MOST_OVER_FLOOR * medians[FLOOR]


def test_run_k6_costs_a_fraction_of_a_playbook(medians: dict[str, float]) -> None:
    assert medians[ANSIBLE] >= LEAST_BELOW_ANSIBLE * medians[OURS]


def test_many_iterations_in_a_row_cost_no_more_each(
    first: Target, medians: dict[str, float]
) -> None:
    row_s = seconds(lambda: first.run_k6(ITERATIONS, load=LOAD, duration="1s", progress=False))
    each_s = row_s / ITERATIONS - LASTS_S
    print(f"\n{ITERATIONS} iterations: {each_s:.3f} s of overhead each")
    assert each_s <= MOST_OVER_FEW * medians[OURS]


def test_targets_at_once_take_as_long_as_one(lab: Lab, first: Target) -> None:
    load = {"env": 2}
    asked = {"duration": f"{TOGETHER_S}s", "progress": False}
    ones, alls = zip(
        *[
            (
                seconds(lambda: first.run_k6(load=load, **asked)),
                seconds(lambda: lab.run_k6(load=load, **asked)),
            )
            for _ in range(3)
        ],
        strict=True,
    )
    one_s, all_s = statistics.median(ones), statistics.median(alls)
    print(
        f"\n{TARGETS} targets at once: {all_s:.2f} s, one: {one_s:.2f} s, {all_s / one_s:.2f} times"
    )
    assert all_s <= MOST_OVER_ONE * one_s
