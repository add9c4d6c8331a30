"""One row for each request that a real k6 made, whatever a script does; and what answers said."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab import Function, Lab, Run, Target
from tests.embedded.ready import make_ready

NODE = 'node b/\u00fc,"quoted"; 100 %'
LONG_NODE = "a" + "%" * 400
SCRIPT = """
import http from "k6/http";
export const options = {
  scenarios: {
    batches: { executor: "per-vu-iterations", vus: 2, iterations: 3, exec: "batch" },
    broken: { executor: "per-vu-iterations", vus: 1, iterations: 2, exec: "refused" },
    late: { executor: "per-vu-iterations", vus: 1, iterations: 1, exec: "slow" },
  },
};
const at = (name) => `${__ENV.GATEWAY}/function/${name}`;
const odd = { function: "env", note: 'a,"b"&c=d\\n' };
export function batch() {
  http.batch([["GET", at("env"), null, { tags: odd }], ["GET", at("env"), null, { tags: odd }],
              ["POST", at("echo"), "x", { tags: { function: "echo" } }]]);
  http.get(at("no-such-function"), { tags: { function: "missing" } });
}
export function refused() { http.get(__ENV.CLOSED, { tags: { function: "refused" } }); }
export function slow() { http.get(at("slow"), { timeout: 300, tags: { function: "slow" } }); }
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    functions = {"slow": "sleep 2"}
    with Lab.local(functions=functions, store=tmp_path_factory.mktemp("store")) as lab:
        make_ready(lab)
        yield lab


@pytest.fixture(scope="module")
def scripted(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Run:
    script = tmp_path_factory.mktemp("script") / "mine.js"
    script.write_text(SCRIPT)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        env = {
            "GATEWAY": lab.target.gateway,
            "CLOSED": f"http://127.0.0.1:{closed.getsockname()[1]}/",
        }
        return lab.target.run_k6(script=script, env=env, progress=False)


def test_each_request_of_a_batch_is_a_row(scripted: Run) -> None:
    counts = dict(scripted.requests.group_by("function").len().rows())
    assert counts == {"env": 12, "echo": 6, "missing": 6, "refused": 2, "slow": 1}
    missing = scripted.requests.filter(function="missing")
    assert missing["http_status"].to_list() == [404] * 6
    assert missing["failed"].all()
    # VU and iteration of k6 tell iterations apart: of 2 VUs and 3 iterations, 4 requests each.
    batches = scripted.requests.filter(pl.col("function").is_in(["env", "echo", "missing"]))
    per_iteration = batches.group_by("vu", "vu_iteration").len()
    assert per_iteration["len"].to_list() == [4] * 6


def test_the_phases_of_real_requests_add_up(scripted: Run) -> None:
    answered = scripted.requests.filter(pl.col("http_status").is_not_null())
    parts = answered.select(
        whole=pl.col("latency_ms"),
        parts=pl.sum_horizontal("sending_ms", "waiting_ms", "receiving_ms"),
        span=(pl.col("ended_at") - pl.col("started_at")).dt.total_microseconds() / 1000,
        with_wait=pl.col("latency_ms") + pl.col("blocked_ms"),
    )
    assert parts.select((pl.col("whole") - pl.col("parts")).abs().max()).item() < 1e-3
    assert parts.select((pl.col("span") - pl.col("with_wait")).abs().max()).item() < 2e-3
    assert (answered["blocked_ms"] >= answered["connecting_ms"]).all()


def test_errors_have_a_code_and_no_status(scripted: Run) -> None:
    refused = scripted.requests.filter(function="refused")
    assert refused.select("http_status", "latency_ms").null_count().row(0) == (2, 2)
    assert refused["error_code"].to_list() == [1212, 1212]  # connection refused
    late = scripted.requests.filter(function="slow").row(0, named=True)
    assert (late["http_status"], late["error_code"], late["failed"]) == (None, 1050, True)
    assert 250 < late["latency_ms"] < 1500


def test_answers_say_how_long_the_function_took_and_who_served_it(lab: Lab) -> None:
    # The gateway sends X-Call-Id back as it came: here it stands for a node's own header.
    env = Function("env", headers={"X-Call-Id": NODE})
    target = Target(
        "mid",
        gateway=lab.target.gateway,
        generator=lab.generator,
        functions=[env, Function("figlet")],
        served_by_header="x-call-id",
        store=lab.store.root,
    )
    requests = target.run_k6(load=5, duration="1s", progress=False).requests
    for name in ("function_ms", "gateway_ms", "served_by"):
        assert requests[name].null_count() == 0
    split = requests["function_ms"] + requests["gateway_ms"] - requests["latency_ms"]
    assert split.abs().max() < 1e-6  # type: ignore[operator]
    assert set(requests.filter(function="env")["served_by"]) == {NODE}
    assert requests.filter(function="figlet")["served_by"].n_unique() > 1  # an id for each call
    # Without a name of one's own it is the header of DFaaS nodes, which the embedded ones send.
    usual = lab.target.run_k6(load={"env": 3}, duration="1s", progress=False).requests
    assert set(usual["served_by"]) == {lab.target.name}


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers each request with two bytes."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Streaming(Answering):
    """Answers at once with headers, and with the body only after a while."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.send_header("Dfaas-Node-Id", LONG_NODE)
        self.end_headers()
        self.wfile.write(b"o")
        time.sleep(4)
        self.wfile.write(b"k")


class OverIpv6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


def test_a_gateway_at_an_ipv6_address(lab: Lab, tmp_path: Path) -> None:
    try:
        server = OverIpv6(("::1", 0), Answering)
    except OSError as error:
        pytest.skip(f"no IPv6 on this machine: {error}")
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        target = Target(
            "six",
            gateway=f"http://[::1]:{server.server_port}",
            generator=lab.generator,
            functions=[Function("env")],
            store=tmp_path,
        )
        run = target.run_k6(load=5, duration="1s", progress=False)
        server.shutdown()
    assert run.summary["failed"].sum() == 0
    assert set(run.requests["http_status"]) == {200}


def test_a_body_that_takes_long_says_nothing_about_the_clock(lab: Lab) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Streaming) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        target = Target(
            "streaming",
            gateway=f"http://127.0.0.1:{server.server_port}",
            generator=lab.generator,
            functions=[Function("slow")],
            store=lab.store.root,
        )
        run = target.run_k6(load=2, duration="2s", progress=False)
        server.shutdown()
    assert run.status == "ok"
    assert "streaming" not in run.provenance["clock_skew"]  # no answer was quick enough to tell
    assert set(run.requests["served_by"]) == {LONG_NODE[:300]}
