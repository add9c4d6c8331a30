"""A closed lab says so; without an id, the newest run that has not ended is attached to."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfaas_lab import ConfigError, Lab, StoreError
from tests.embedded.ready import make_ready


def test_without_an_id_the_newest_open_run_is_attached_to(tmp_path: Path) -> None:
    with Lab.local(store=tmp_path / "results") as lab:
        make_ready(lab)
        terms = {"load": {"env": 5}, "duration": "1s", "progress": False}
        with pytest.raises(StoreError, match="has ended"):
            lab.attach()
        sent = lab.target.start_k6(2, detach=True, **terms)
        lab.target.run_k6(**terms)  # newer, and at its end
        run = lab.attach(progress=False)
        assert (run.id, run.status) == (sent.run.id, "ok")
        target = lab.target
    with pytest.raises(ConfigError, match="this lab is closed"):
        target.run_k6(**terms)
