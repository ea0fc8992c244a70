"""Fixtures that the conformance tests share: plugins, stacks and a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.lab.conformance import cluster as clusters
from tests.lab.conformance.cluster import Cluster
from tests.lab.conformance.stacks import RunFailed, Stack, variables


@pytest.fixture(scope="session")
def plugins() -> str:
    """Whose plugins are tested: ``lab``, or ``published``."""
    chosen = os.environ.get("CONFORMANCE_PLUGINS", "lab")
    assert chosen in ("lab", "published"), "CONFORMANCE_PLUGINS must be lab or published"
    return chosen


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with two nodes."""
    with clusters.running(tmp_path_factory.mktemp("cluster") / "state") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def stack_variables(tmp_path_factory: pytest.TempPathFactory, plugins: str) -> dict[str, str]:
    """The environment of all stacks."""
    return variables(tmp_path_factory.mktemp("pulumi"), plugins)


@pytest.fixture(scope="session")
def only_stack(tmp_path_factory: pytest.TempPathFactory, stack_variables: dict[str, str]) -> Stack:
    """The one stack that all tests use in turn: to make one costs as much as an update."""
    return Stack("only", tmp_path_factory.mktemp("program"), stack_variables)


@pytest.fixture
def stack(only_stack: Stack) -> Iterator[Stack]:
    """An empty stack; what a test leaves in it is destroyed."""
    yield only_stack
    try:
        only_stack.empty()
    except RunFailed as error:
        pytest.fail(f"the stack cannot be destroyed: {error}")
