"""The owner of a lab in a process of its own, so that a test can kill it. Run as a script.

Prints one JSON line when the lab serves and detached processes run in it; then does as it is told
by its argument: ``wait`` for ever, or ``close`` when its stdin ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from dfaas_lab.local import LocalLab, start
from tests.embedded.conftest import ssh_command

# As k6 is launched: detached, in a clean environment, in its workspace; and a child it left.
_DETACHED = """
mkdir -p ~/../runs/w && cd ~/../runs/w
setsid env -i sh -c 'sleep 1000 & exec sleep 1000' </dev/null >/dev/null 2>&1 &
nohup sleep 1000 </dev/null >/dev/null 2>&1 &
"""


def busy(lab: LocalLab) -> subprocess.Popen[bytes]:
    """Start what may be under way: detached processes, and a command on an open connection."""
    subprocess.run([*ssh_command(lab), _DETACHED], check=True, timeout=30)
    command = [*ssh_command(lab), "echo on; exec sleep 1000"]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert client.stdout is not None
    assert client.stdout.readline() == b"on\n"
    return client


def main() -> None:
    mode, targets = sys.argv[1], int(sys.argv[2])
    with start(targets, {"slow": "sleep 1000"}) as lab:
        client = busy(lab)
        facts = {"manager": lab.manager_pid, "path": str(lab.path), "url": lab.gateways[0].url}
        print(json.dumps(facts), flush=True)
        if mode == "wait":
            time.sleep(1000)
        sys.stdin.read()
    client.kill()
    client.communicate()


if __name__ == "__main__":
    main()
