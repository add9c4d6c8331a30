"""Any body arrives at a function unchanged and comes back, through real k6 and the real gateway."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfaas_lab import Function, Lab, Target
from tests.embedded.ready import make_ready
from tests.embedded.test_measure import BODIES as HOSTILE

COUNT = 8
BODIES = st.one_of(
    st.binary(min_size=1, max_size=3000),
    st.text(min_size=1, max_size=300),
    st.text("'\"`${}\\;&|<>\n\r\t\0%#! ", min_size=1, max_size=80),
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Path]]:
    """A lab whose functions echo as ``echo`` does, and keep what they answer in a file each."""
    folder = tmp_path_factory.mktemp("kept")
    echoes = {f"echo{n}": ["/usr/bin/tee", str(folder / f"echo{n}")] for n in range(COUNT)}
    with Lab.local(functions=echoes, store=tmp_path_factory.mktemp("results")) as lab:
        make_ready(lab)
        yield lab, folder


@pytest.mark.slow
@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(bodies=st.lists(BODIES, min_size=COUNT, max_size=COUNT))
def test_every_body_arrives_unchanged(kept: tuple[Lab, Path], bodies: list[bytes | str]) -> None:
    lab, folder = kept
    names = [f"echo{n}" for n in range(COUNT)]
    for name in names:
        (folder / name).unlink(missing_ok=True)
    functions = [
        Function(name, method="POST", body=body) for name, body in zip(names, bodies, strict=True)
    ]
    target = Target(
        "bodies", gateway=lab.target.gateway, generator=lab.generator, functions=functions
    )
    target.store = lab.target.store
    run = target.run_k6(load=1, duration="1s", progress=False)
    assert run.summary["failed"].sum() == 0
    for function in functions:
        assert (folder / function.name).read_bytes() == function.body_bytes()


# k6 itself compares what comes back with what it sent, byte by byte.
ECHOED = """
import encoding from "k6/encoding";
import http from "k6/http";
import { check } from "k6";
const bodies = JSON.parse(open("./sent.json"));
export const options = { iterations: bodies.length, vus: 1 };
export default function () {
  const sent = bodies[__ITER];
  const url = `${__ENV.GATEWAY}/function/echo`;
  const answer = http.post(url, encoding.b64decode(sent), { responseType: "binary" });
  check(answer, { same: (r) => encoding.b64encode(r.body) === sent });
}
"""


def test_every_hostile_body_comes_back_unchanged(kept: tuple[Lab, Path], tmp_path: Path) -> None:
    lab, _ = kept
    (tmp_path / "sent.json").write_text(json.dumps([b64encode(one).decode() for one in HOSTILE]))
    (tmp_path / "echoed.js").write_text(ECHOED)
    env = {"GATEWAY": lab.target.gateway}
    run = lab.target.run_k6(script=tmp_path / "echoed.js", env=env, progress=False)
    checks = run.k6_metrics.filter(pl.col("check") == "same")
    assert checks["samples"].sum() == len(HOSTILE)
    assert set(checks["mean"]) == {1.0}
