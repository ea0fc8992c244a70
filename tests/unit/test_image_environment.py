"""The image's Python environment: list and lock agree, and fit the hub and the desktop."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from jupyter_image import environment
from jupyter_image.environment import EnvironmentFileError

PROGRAM = Path(__file__).resolve().parents[2]


def test_the_lock_has_what_is_listed_in_the_listed_version() -> None:
    locked = environment.locked()
    assert {name: locked[name][0] for name in environment.packages()} == environment.packages()


def test_everything_in_the_lock_has_hashes() -> None:
    assert [name for name, (_, hashes) in environment.locked().items() if hashes == 0] == []


def test_the_lock_names_no_place() -> None:
    assert not re.search(r"://|--index|--find-links| @ ", environment.LOCK.read_text())


def test_locking_again_changes_nothing(tmp_path: Path) -> None:
    """The lock is what the resolver makes of the list: nothing was added, dropped or changed by hand."""
    target = tmp_path / "environment.lock"
    target.write_text(environment.LOCK.read_text())
    environment.lock(target=target)
    assert target.read_text() == environment.LOCK.read_text()


def test_the_servers_side_of_the_hub_has_the_hubs_version() -> None:
    pinned = re.search(r"^jupyterhub==(\S+)$", (PROGRAM / "requirements.in").read_text(), re.MULTILINE)
    assert pinned is not None
    # The hub's first two numbers are what a server must share with it.
    assert environment.packages()["jupyterhub"].split(".")[:2] == pinned[1].split(".")[:2]


def test_the_desktop_needs_nothing_that_is_not_locked() -> None:
    project = tomllib.loads((PROGRAM / "jupyter_image" / "desktop" / "pyproject.toml").read_text())["project"]
    names = {environment.normal(re.split(r"[<>=!~;\[ ]", need)[0]) for need in project["dependencies"]}
    assert names - set(environment.locked()) == set()


def test_what_the_gateways_of_the_field_have_is_there() -> None:
    stack = {"arm-pyart", "wradlib", "xradar", "metpy", "xarray", "cartopy", "siphon"}
    jupyter = {"jupyterlab", "ipykernel", "jupyterhub", "nbgitpuller", "jupyter-server-proxy"}
    assert stack | jupyter <= set(environment.packages())


def written(folder: Path, *lines: str) -> Path:
    file = folder / "environment.yml"
    file.write_text("\n".join(["dependencies:", *lines]))
    return file


@pytest.mark.parametrize("line", ["numpy", "numpy>=2", "numpy==2.*", "numpy==", "numpy == 2.5.5 ; x"])
def test_a_package_without_an_exact_version_is_refused(line: str, tmp_path: Path) -> None:
    file = written(tmp_path, "  - python=3.13", "  - pip:", f"      - {line}")
    with pytest.raises(EnvironmentFileError, match="write it as name==version"):
        environment.packages(file)


def test_a_list_without_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFileError, match=r"no entry such as python=3\.13"):
        environment.python_version(written(tmp_path, "  - pip:", "      - numpy==2.5.5"))


def test_packages_that_do_not_fit_together_are_told_in_words(tmp_path: Path) -> None:
    file = written(tmp_path, "  - python=3.13", "  - pip:", "      - pandas==3.1.1", "      - numpy==1.0")
    with pytest.raises(EnvironmentFileError, match=r"(?s)cannot be locked.*numpy"):
        environment.lock(file, tmp_path / "environment.lock")


def test_names_are_compared_as_the_index_does() -> None:
    assert environment.normal("Arm_PyART.x") == "arm-pyart-x"
