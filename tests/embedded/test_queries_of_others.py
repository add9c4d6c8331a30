"""Expressions, and processes by their numbers, asked of a real Prometheus."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dfaas_lab.execution.node_metrics import NodeMetrics
from dfaas_lab.services.prometheus import Prometheus
from dfaas_lab.services.queries import queries
from tests.embedded import prometheus_server

BEGAN = time.time()


class Exporter(BaseHTTPRequestHandler):
    """A node that is busy for 0.4 s in each second, and Scaphandre beside it."""

    def do_GET(self) -> None:
        idle = 0.6 * (time.time() - BEGAN)
        power = "scaph_process_power_consumption_microwatts"
        lines = [f'node_cpu_seconds_total{{cpu="0",mode="idle"}} {idle:.3f}'] + [
            f'{power}{{pid="{pid}",exe="x"}} {watts * 1e6:.0f}'
            for pid, watts in ((121, 1.5), (122, 2.0), (77, 4.0))
        ]
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write("".join(f"{line}\n" for line in lines).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.slow
def test_they_are_asked_for_the_window(tmp_path: Path) -> None:
    asked = queries(
        {
            "cpu_cores": {
                "promql": '100 * sum(1 - rate(node_cpu_seconds_total{mode="idle"}[{window}]))',
                "scale": 0.01,
            },
            "function_power_watts": [
                {"gauge": 'scaph_process_power_consumption_microwatts{pid=~"12."}', "of": "env",
                 "scale": 1e-6},
                {"promql": 'sum(scaph_process_power_consumption_microwatts{pid="77"})',
                 "of": "figlet", "scale": 1e-6},
                {"promql": "vector(9)", "of": "env"},
            ],
            "nothing": {"promql": "absent_metric"},
        },
        ["env", "figlet"],
    )  # fmt: skip
    server = ThreadingHTTPServer(("127.0.0.1", 0), Exporter)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with prometheus_server.running(tmp_path, f"127.0.0.1:{server.server_port}") as url:
        prometheus, until = Prometheus(url), time.monotonic() + 40
        while not prometheus.evaluated("up offset 4s"):  # the first scrape comes after some time
            assert time.monotonic() < until
            time.sleep(0.2)
        end = datetime.now(UTC) - timedelta(seconds=0.6)
        metrics = NodeMetrics("node", prometheus, asked, ["env", "figlet"])
        found = metrics.between(end - timedelta(seconds=3), end)
    server.shutdown()
    server.server_close()
    (cpu,) = found.filter(metric="cpu_cores")["value"]
    assert cpu == pytest.approx(0.4, abs=0.03)
    power = found.filter(metric="function_power_watts")
    assert set(power.select("function", "value").rows()) == {("env", 3.5), ("figlet", 4.0)}
    assert found.filter(metric="nothing").is_empty()
