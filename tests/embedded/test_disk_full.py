"""The disk of the store fills up in the midst of a run: it is told, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dfaas_lab.local import LocalLab

# A controller whose store lies on a small disk of its own, in a mount namespace of its own.
CONTROLLER = """
import sys
from pathlib import Path
from dfaas_lab import Lab
from dfaas_lab.errors import StoreError
from tests.embedded.ready import make_ready

disk = Path(sys.argv[1])
terms = {"load": {"env": 20}, "duration": "1s"}
with Lab.from_file(sys.argv[2]) as lab:
    make_ready(lab)
    first = lab.target.run_k6(1, label="first", progress=False, **terms)
    before = first.requests
    handle = lab.target.start_k6(3, label="second", **terms)
    while not (handle.run.path / "iteration=1" / "target=node1").exists() and not handle.done:
        pass
    try:
        with (disk / "filler").open("wb") as filler:
            while True:
                filler.write(bytes(4096))
                filler.flush()
    except OSError as error:
        print("filled:", error.strerror)
    try:
        handle.wait()
    except StoreError as error:
        print("told:", str(error).splitlines()[0].partition(":")[0])
        print("run:", error.run.id == handle.run.id)
        where = str(error).partition("kept: ")[2].partition(";")[0].partition(":/")[2]
        print("kept:", (Path("/") / where / "samples.csv").exists())
        print("next:", f"lab.attach({handle.run.id!r})" in str(error))
    again = lab.store.find(first.id)
    print("first:", again.frame("requests").equals(before), again.read()["status"])
    second = lab.store.find(handle.run.id)
    print("second:", second.iterations(), second.frame("summary").height)
    (disk / "filler").unlink()
    run = lab.attach(handle.run.id, progress=False)
    print("attached:", run.status, run.summary.select("iteration", "status").rows())
    ids = run.provenance["orders"]["node1"]["workspaces"]["ids"]
    print("left:", [name for name in ids if (Path(lab.generator.workspace_root) / name).exists()])
"""


def test_a_full_disk_is_told_and_costs_no_iteration(local_lab: LocalLab, tmp_path: Path) -> None:
    file, disk = tmp_path / "lab.json", tmp_path / "disk"
    disk.mkdir()
    file.write_text(json.dumps({**local_lab.facts(), "store": str(disk / "results")}))
    done = subprocess.run(
        [*_on_a_small_disk(disk), sys.executable, "-c", CONTROLLER, str(disk), str(file)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.stdout.splitlines() == [
        "filled: No space left on device",
        "told: the disk is full",
        "run: True",
        "kept: True",
        "next: True",
        "first: True ok",
        "second: [1] 1",
        "attached: ok [(1, 'ok'), (2, 'ok'), (3, 'ok')]",
        "left: []",
    ], done.stderr


def _on_a_small_disk(disk: Path) -> list[str]:
    mount = f'mount -t tmpfs -o size=2m tmpfs "{disk}" && exec "$@"'
    for user in (["--map-root-user"], []):  # root needs no namespace of users
        command = ["unshare", *user, "--mount", "sh", "-c", mount, "sh"]
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("neither root nor user namespaces on this machine")
