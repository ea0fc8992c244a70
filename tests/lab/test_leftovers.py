"""After all tests that used the cloud: their stacks and clusters have left nothing in the project."""

from __future__ import annotations

import pytest
from openstack.connection import Connection

from tests.lab import owned

REHEARSAL = "science-dev"


def test_nothing_is_left_in_the_project(cloud: Connection) -> None:
    clusters = {str(each.name) for each in cloud.container_infrastructure_management.clusters()}
    assert clusters <= {REHEARSAL}
    if clusters:
        pytest.skip("the rehearsal's own gateway stands: what it owns cannot be told from what is left")
    assert {kind: ids for kind, ids in owned.everything(cloud).items() if ids} == {}
