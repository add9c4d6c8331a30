"""Any body arrives at a function unchanged, through real k6 and the real gateway.

That the answer comes back unchanged is what ``test_local_gateway`` shows, with the same gateway.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfaas_lab import Function, Lab, Target

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
        lab.provision(progress=False)
        yield lab, folder


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
