"""The embedded gateway as a systemd service of a host. No test is here.

The host uses the packages of this machine's environment; those that the gateway needs are plain
Python, so the host's own interpreter can run them.
"""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path

import dfaas_lab
from tests.testbed.machines import Machine

PORT = 8080
PASSWORD = "only for this test"
_THERE = "/srv/python"
SHARES = (
    (Path(dfaas_lab.__file__).parent, f"{_THERE}/own/dfaas_lab"),
    (Path(sysconfig.get_paths()["purelib"]), f"{_THERE}/packages"),
)
_UNIT = f"""
[Service]
User=plain
StandardInput=file:/etc/gateway.json
Environment=PYTHONPATH={_THERE}/own:{_THERE}/packages PYTHONDONTWRITEBYTECODE=1
ExecStart=/usr/bin/python3 -m dfaas_lab.local.gateway
[Install]
WantedBy=multi-user.target
"""
_WAIT = f"""
import sys, time, urllib.request
until = time.monotonic() + 20
while time.monotonic() < until:
    try:
        sys.exit(urllib.request.urlopen("http://127.0.0.1:{PORT}/healthz").status != 200)
    except OSError:
        time.sleep(0.1)
sys.exit(1)
"""


def install(machine: Machine, *, listen: str = "0.0.0.0", **settings: object) -> None:
    """Let a host that has the shares serve a gateway, from now on and after each boot."""
    task = {
        "name": machine.name,
        "user": "admin",
        "password": PASSWORD,
        "host": listen,
        "port": PORT,
        "metrics_port": 8082,
        **settings,
    }
    (machine.root / "etc/gateway.json").write_text(json.dumps(task) + "\n")
    (machine.root / "etc/systemd/system/gateway.service").write_text(_UNIT)
    machine.run("systemctl daemon-reload; systemctl enable --now gateway")
    machine.run(f"python3 -c '{_WAIT}' || {{ journalctl -u gateway >&2; exit 1; }}")
