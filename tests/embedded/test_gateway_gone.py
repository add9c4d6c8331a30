"""A gateway that goes away in the middle: k6's words are read live, and no request is lost."""

from __future__ import annotations

import logging
import re
import threading
import time
from pathlib import Path

import httpx
import polars as pl
import pytest

from dfaas_lab import Lab
from dfaas_lab.local.parts import LocalGateway
from tests.embedded.ready import make_ready


def _answers(gateway: LocalGateway) -> int:
    """How many requests the gateway's functions have answered."""
    counted = r'^gateway_function_invocation_total\{[^}]*"200"[^}]*\} (\d+)'
    text = httpx.get(gateway.metrics_url).text
    return sum(int(number) for number in re.findall(counted, text, re.MULTILINE))


def test_what_k6_says_is_read_while_it_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="dfaas_lab.k6")
    heard: list[float] = []
    with Lab.local(store=tmp_path / "results") as lab:
        assert lab._local is not None
        (gateway,) = lab._local.gateways
        make_ready(lab)
        before = _answers(gateway)

        def kill_when_it_answers() -> None:
            while _answers(gateway) < before + 5:
                time.sleep(0.05)
            gateway.kill()

        killer = threading.Thread(target=kill_when_it_answers, daemon=True)
        killer.start()
        run = lab.target.run_k6(
            load={"env": 10},
            duration="4s",
            live=lambda _: heard.append(time.monotonic()),
            progress=False,
        )
        ended = time.monotonic()
        killer.join()
        gateway.restart()
        again = lab.target.run_k6(load={"env": 5}, duration="1s", progress=False)
    assert "Request Failed" in caplog.text
    # The first refused request was told long before the run was over.
    assert heard[0] < ended - 0.5
    answered = run.requests.filter(pl.col("http_status") == 200)
    refused = run.requests.filter(pl.col("http_status").is_null())
    assert answered.height > 0
    assert refused.height > 0
    assert refused["failed"].all()
    assert refused["latency_ms"].null_count() == refused.height
    assert abs(run.requests.height - 40) <= 1
    (row,) = run.summary.iter_rows(named=True)
    assert row["failed"] == refused.height
    assert row["success_rate"] == pytest.approx(answered.height / run.requests.height)
    assert again.status == "ok"
    assert again.summary["failed"].sum() == 0
