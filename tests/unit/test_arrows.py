"""Imports point one way: from __main__ to stacks, components and their values; the lab stands apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.settings_files import PROGRAM

OWN = (
    "__main__",
    "stacks",
    "components",
    "allocation",
    "operations",
    "lab",
    "jupyter_image",
    "benchmarks",
    "tests",
)
ARROWS = {
    "__main__": {"stacks"},
    "stacks": {"stacks", "components", "allocation", "operations"},
    "components": {"components.hub_values"},
    "components.hub_values": {"components.hub_values"},
    "allocation": {"allocation"},
    "operations": {"operations"},
    "lab": {"lab"},
    "jupyter_image": {"jupyter_image"},
}
"""Each part, and the parts that its modules may import. A component may not import another."""

WITHOUT_PULUMI = ("allocation", "operations", "lab", "jupyter_image", "components.hub_values")
PLUGINS = PROGRAM / "lab" / "plugins"
"""The lab's plugins speak Pulumi's protocol: they alone of the lab import its library."""


MAY_IMPORT_LAB = {
    Path("tests/lab"),
    Path("tests/unit/lab"),
    # The image is tried with a hub in the lab.
    Path("tests/image"),
    # The linter of its Dockerfile is fetched by the lab's Go.
    Path("tests/unit/test_image_dockerfile.py"),
    # They measure the program in it.
    Path("benchmarks"),
    # It keeps what outlives a clone in the lab's cache.
    Path("tests/lanes.py"),
}


def part_of(module: str) -> str:
    if module.startswith("components.hub_values"):
        return "components.hub_values"
    return module.partition(".")[0]


def sources() -> Iterator[tuple[str, Path]]:
    yield "__main__", PROGRAM / "__main__.py"
    for top in ("stacks", "components", "allocation", "operations", "lab", "jupyter_image"):
        for path in sorted((PROGRAM / top).rglob("*.py")):
            yield ".".join(path.relative_to(PROGRAM).with_suffix("").parts).removesuffix(".__init__"), path


def imported(path: Path, module: str) -> Iterator[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            # `from components import network` imports the module components.network.
            yield from (f"{base}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(
    ("module", "path"), list(sources()), ids=lambda value: str(value) if isinstance(value, str) else ""
)
def test_imports_follow_the_arrows(module: str, path: Path) -> None:
    for name in imported(path, module):
        if name.partition(".")[0] in OWN:
            assert part_of(name) in ARROWS[part_of(module)], f"{module} must not import {name}"


@pytest.mark.parametrize(
    ("module", "path"), list(sources()), ids=lambda value: str(value) if isinstance(value, str) else ""
)
def test_only_stacks_and_components_know_pulumi(module: str, path: Path) -> None:
    if part_of(module) in WITHOUT_PULUMI and PLUGINS not in path.parents:
        known = [name for name in imported(path, module) if name.partition(".")[0].startswith("pulumi")]
        assert not known, f"{module} must not import {known[0]}"


def test_nothing_but_its_own_tests_and_benchmarks_imports_the_lab() -> None:
    """The program cannot tell the lab from a real cloud; whoever imports the lab could."""
    importers = {
        path.relative_to(PROGRAM)
        for top in ("tests", "benchmarks")
        for path in (PROGRAM / top).rglob("*.py")
        if any(part_of(name) == "lab" for name in imported(path, ""))
    }
    strangers = {
        path
        for path in importers
        if path not in MAY_IMPORT_LAB and not any(folder in MAY_IMPORT_LAB for folder in path.parents)
    }
    assert strangers == set()
    # Whoever no longer does is taken from the list.
    assert {
        allowed
        for allowed in MAY_IMPORT_LAB
        if not any(allowed in (path, *path.parents) for path in importers)
    } == set()


def test_the_reader_of_imports_sees_every_form(tmp_path: Path) -> None:
    source = tmp_path / "example.py"
    source.write_text(
        "import a.b\nfrom c import d\nfrom . import e\nfrom .f import g\ndef h():\n    import i\n"
    )
    assert set(imported(source, "top.example")) == {"a.b", "c.d", "top.e", "top.f.g", "i"}


def test_the_main_program_is_short() -> None:
    assert len((PROGRAM / "__main__.py").read_text().splitlines()) < 20
