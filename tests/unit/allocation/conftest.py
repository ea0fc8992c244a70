"""A cloud to ask, and an environment that knows of no other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from allocation import accounting
from tests.unit.allocation.fake_cloud import FakeCloud, running


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCloud]:
    """A fake cloud, which clouds.yaml names; pauses before further attempts are short."""
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(accounting, "FIRST_PAUSE_S", 0.01)
    with running() as fake:
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(fake.clouds_yaml(tmp_path)))
        yield fake
