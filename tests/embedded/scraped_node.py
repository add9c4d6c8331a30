"""A Prometheus of a node whose processors are as busy as a test says, scraped every second."""

from __future__ import annotations

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

CORES = 4
_SELECTOR = re.compile(r"(\w*)(\{.*\})?\[(\d+)ms\]")
_NAMES = re.compile(r'\{__name__=~"(.*)"\}')


class ScrapedNode:
    """Serves the API of Prometheus on loopback; ``cores`` and ``away`` may be changed."""

    def __init__(self) -> None:
        self._changes = [(0.0, 0.2)]
        self.away = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def cores(self) -> float:
        """How many processors are busy."""
        return self._changes[-1][1]

    @cores.setter
    def cores(self, cores: float) -> None:
        self._changes.append((time.time(), cores))

    def __enter__(self) -> ScrapedNode:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = json.dumps({"status": "success", "data": self._data(parts.path, asked)}).encode()
        request.send_response(503 if self.away else 200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _data(self, path: str, asked: dict[str, str]) -> dict[str, Any]:
        if path != "/api/v1/query":
            target = {
                "labels": {"job": "node", "instance": "n"},
                "health": "up",
                "scrapeInterval": "1s",
                "lastError": "",
            }
            return {"activeTargets": [target]}
        if asked["query"] == "time()":
            return {"resultType": "scalar", "result": [time.time(), str(time.time())]}
        found = _SELECTOR.fullmatch(asked["query"])
        assert found is not None, asked
        end = float(asked["time"])
        begin = end - int(found[3]) / 1000
        times = [t for t in range(int(begin), int(end) + 1) if begin <= t <= min(end, time.time())]
        names = _NAMES.fullmatch(found[2] or "")
        return {
            "resultType": "matrix",
            "result": [
                {
                    "metric": {"__name__": name, "job": "node", "instance": "n", **labels},
                    "values": [[t, str(value(t))] for t in times],
                }
                for name in (names[1].split("|") if names else [found[1]])
                for labels, value in self._series(name, "" if names else found[2] or "")
            ],
        }

    def _series(self, name: str, labels: str) -> list[tuple[dict[str, str], Any]]:
        if name == "node_cpu_seconds_total":
            busy = ({"mode": "user"}, self._busy_s)
            idle = ({"mode": "idle"}, lambda t: CORES * t - self._busy_s(t))
            return [busy] if "idle" in labels else [busy, idle]
        known = {"up": 1, "node_memory_MemTotal_bytes": 4e9, "node_memory_MemAvailable_bytes": 3e9}
        return [({}, lambda _: known[name])] if name in known else []

    def _busy_s(self, at: float) -> float:
        """How long processors had been busy until then, in seconds."""
        ends = [begin for begin, _ in self._changes[1:]] + [at]
        spans = zip(self._changes, ends, strict=True)
        return sum(
            cores * max(0.0, min(end, at) - begin) for (begin, cores), end in spans if begin < at
        )
