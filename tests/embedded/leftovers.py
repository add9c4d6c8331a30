"""Finds what a lab could leave behind: processes, listening ports and files, by its directory."""

from __future__ import annotations

import time
from pathlib import Path

import psutil


class Leftovers:
    """Looks for what belongs to labs whose directory for temporary files is ``tmp``.

    Args:
        tmp: The directory; the labs' owner was started with it as TMPDIR.
    """

    def __init__(self, tmp: Path) -> None:
        self._tmp = tmp
        self._sockets: dict[str, int] = {}

    def processes(self) -> list[str]:
        """Name the processes that still run: marked by environment, by place or by a file."""
        return [str(one) for one in self.found()]

    def found(self) -> list[psutil.Process]:
        me = psutil.Process().pid
        return [one for one in psutil.process_iter() if one.pid != me and self._belongs(one)]

    def _belongs(self, process: psutil.Process) -> bool:
        here = str(self._tmp)
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            env = process.environ()
            return (
                env.get("TMPDIR", "").startswith(here)
                or here in env.get("HOME", "")
                or process.cwd().startswith(here)
                or any(file.path.startswith(here) for file in process.open_files())
            )
        except psutil.Error:
            return False

    def note_ports(self) -> set[int]:
        """Remember the ports that are served now, and say that they are on loopback only."""
        served = [
            connection.laddr
            for process in self.found()
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert {address.ip for address in served} <= {"127.0.0.1"}, served
        ports = {address.port for address in served}
        self._sockets |= {inode: port for inode, port in _listening().items() if port in ports}
        return set(self._sockets.values())

    def _open_ports(self) -> list[int]:
        """The ports that are still served: by the same sockets, since any process may be next."""
        return [port for inode, port in _listening().items() if inode in self._sockets]

    def wait_for_none(self, within_s: float = 15.0) -> None:
        """Fail with what is there when something is left after a while."""
        until = time.monotonic() + within_s
        while time.monotonic() < until and (self.processes() or self._files()):
            time.sleep(0.05)
        left = {"processes": self.processes(), "files": self._files(), "ports": self._open_ports()}
        assert not any(left.values()), f"left behind: {left}"

    def wait_for_no_process(self, within_s: float = 15.0) -> None:
        """Fail when a process is left after a while."""
        until = time.monotonic() + within_s
        while time.monotonic() < until and self.processes():
            time.sleep(0.05)
        assert not self.processes(), f"left behind: {self.processes()}"

    def _files(self) -> list[str]:
        return sorted(entry.name for entry in self._tmp.iterdir())


def _listening() -> dict[str, int]:
    """The ports of all listening sockets of IPv4 on this machine, by inode."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9]: int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}
