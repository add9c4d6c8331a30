"""The pipe to a lab's keeper: orders go in as JSON lines, answers come out.

When it closes, because its owner closed it or died, the lab ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from dfaas_lab.errors import DfaasLabError

_CLOSE_S = 20.0


class Pipe:
    """The keeper's process, and the pipe by which it is told what to do."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._lock = threading.Lock()
        # A session of its own: Ctrl-C in a terminal is for the notebook, not for the lab.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dfaas_lab.local.process_manager"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env=env,
        )
        self.pid = self._process.pid
        try:
            self.ready = self._ask(task)
        except BaseException:
            self.close()
            raise

    def order(self, order: Mapping[str, Any]) -> None:
        """Have the keeper do something, and wait until it is done."""
        with self._lock:
            self._ask(order)

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except (BrokenPipeError, ValueError):
            line = b""
        answer: dict[str, Any] = json.loads(line or '{"error": "its keeper has ended"}')
        if "error" in answer:
            raise DfaasLabError(
                f"the embedded lab: {answer['error']}", hint="Start a new one: Lab.local()."
            )
        return answer

    def close(self) -> bool:
        """End the lab; True when the keeper could end and remove everything."""
        with self._lock:
            try:
                answers, _ = self._process.communicate(b'{"do": "close"}\n', timeout=_CLOSE_S)
            except (subprocess.TimeoutExpired, ValueError):
                self._process.kill()
                self._process.wait()
                return False
        return b'{"closed": true}' in answers
