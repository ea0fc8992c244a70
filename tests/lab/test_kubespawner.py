"""Users' pods as the real KubeSpawner makes them from the program's values, before a real API server."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from kubernetes import client

from components.hub_values.placement import CORE_TAINT, NODE_GROUP_LABEL
from components.hub_values.profiles import Profile
from lab.kubernetes.quantities import parse_all
from stacks.hub_args import profiles
from tests.lab import kubespawner_pods
from tests.lab.cluster_under_test import wait_for
from tests.lab.conformance import cluster as clusters
from tests.lab.conformance.cluster import Cluster
from tests.lab.kubespawner_pods import USER_PRIORITY, USER_SCHEDULER, UserServer
from tests.unit.settings_files import GOOD, PROGRAM
from tests.unit.test_hub_values import settings_of, values_of

FILES = [PROGRAM / "Pulumi.dev.yaml", *sorted(GOOD.glob("*.yaml"))]
ODD_NAMES = ("Ann.O'Brien@Example.org", "..", "a/b", "{username}", "ünïcode", "x" * 80, "-")
MIB = 2**20
NAMESPACE = "jhub"

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@functools.cache
def made(path: Path) -> dict[str, tuple[Profile, UserServer]]:
    """One server of each profile of a settings file, by the profile's name."""
    settings = settings_of(path)
    chosen = profiles(settings)
    servers = kubespawner_pods.user_servers(values_of(settings), [("ann", each.name) for each in chosen])
    return {each.name: (each, server) for each, server in zip(chosen, servers, strict=True)}


def container(server: UserServer) -> dict[str, Any]:
    (only,) = server.pod["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def environment(server: UserServer) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(server)["env"]}


@every_file
def test_each_profiles_pod_has_what_the_profile_promises(path: Path) -> None:
    for profile, server in made(path).values():
        resources = container(server)["resources"]
        assert resources["requests"] == {"memory": profile.memory_mib * MIB, "cpu": profile.cpus}
        assert resources["limits"] == {"memory": profile.memory_mib * MIB, "cpu": profile.cpu_limit}


@every_file
def test_each_profiles_pod_is_for_its_pool_and_for_no_core_node(path: Path) -> None:
    for profile, server in made(path).values():
        spec = server.pod["spec"]
        assert spec["nodeSelector"] == {NODE_GROUP_LABEL: profile.pool}
        assert not [each for each in spec["tolerations"] if each.get("value") != "user"]
        assert CORE_TAINT["key"] in {each["key"] for each in spec["tolerations"]}
        assert spec["priorityClassName"] == USER_PRIORITY
        assert spec["schedulerName"] == USER_SCHEDULER
        assert spec["automountServiceAccountToken"] is False
        assert container(server)["securityContext"]["allowPrivilegeEscalation"] is False


@every_file
def test_each_pod_runs_the_image_and_the_environment_of_the_settings(path: Path) -> None:
    """KubeSpawner reads braces in variables as places to fill; the settings' texts arrive as they are."""
    hub = settings_of(path).hub
    wanted = hub.image.tag if hub.image.digest is None else f"{hub.image.tag}@{hub.image.digest}"
    for _, server in made(path).values():
        assert container(server)["image"] == f"{hub.image.name}:{wanted}"
        assert environment(server).items() >= hub.extra_env.items()
        assert environment(server)["JUPYTERHUB_DEFAULT_URL"] == hub.default_url
        secrets = [each["name"] for each in server.pod["spec"]["imagePullSecrets"]]
        assert secrets == (["image-pull-secret"] if hub.registry else [])


@every_file
def test_each_pod_mounts_the_home_the_share_and_the_files_of_its_start(path: Path) -> None:
    settings = settings_of(path)
    for _, server in made(path).values():
        mounts = {each["mountPath"]: each for each in container(server)["volumeMounts"]}
        volumes = {each["name"]: each for each in server.pod["spec"]["volumes"]}
        assert {each["name"] for each in mounts.values()} == set(volumes)
        home = mounts.pop("/home/jovyan")
        if settings.storage.homes == "shared":
            assert (home["subPath"], server.claim) == ("ann", None)
            assert "nfs" in volumes[home["name"]]
        else:
            assert server.claim is not None
            name = server.claim["metadata"]["name"]
            assert volumes[home["name"]]["persistentVolumeClaim"] == {"claimName": name}
            asked = server.claim["spec"]["resources"]["requests"]["storage"]
            assert asked == f"{settings.storage.home_gib}Gi"
        assert ("/share" in mounts) is (settings.storage.shared_drive is not None)
        if drive := settings.storage.shared_drive:
            assert mounts.pop("/share")["readOnly"] is not drive.writable
        assert {each["name"] for each in mounts.values()} <= {"files"}


@every_file
def test_what_a_pod_runs_as_it_starts_is_among_its_files(path: Path) -> None:
    for _, server in made(path).values():
        if hook := container(server)["lifecycle"].get("postStart"):
            script = hook["exec"]["command"][-1]
            (mount,) = [each for each in container(server)["volumeMounts"] if each["mountPath"] == script]
            (files,) = [each for each in server.pod["spec"]["volumes"] if each["name"] == "files"]
            (item,) = [each for each in files["secret"]["items"] if each["key"] == mount["subPath"]]
            assert item["mode"] == 0o555


@pytest.mark.parametrize(
    "path", [PROGRAM / "Pulumi.dev.yaml", GOOD / "shared_homes.yaml"], ids=lambda p: p.stem
)
def test_no_name_leads_out_of_its_own_home_or_into_anothers(path: Path) -> None:
    values = values_of(settings_of(path))
    slug = values["singleuser"]["profileList"][0]["slug"]
    servers = kubespawner_pods.user_servers(values, [(name, slug) for name in ODD_NAMES])
    homes = set()
    for server in servers:
        (mount,) = [each for each in container(server)["volumeMounts"] if each["mountPath"] == "/home/jovyan"]
        claim = server.claim["metadata"]["name"] if server.claim else ""
        homes.add(claim + mount.get("subPath", ""))
    assert len(homes) == len(ODD_NAMES)
    assert not [home for home in homes if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", home)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with what pods refer to."""
    with clusters.running(tmp_path_factory.mktemp("cluster") / "state") as running:
        core: Any = running.core
        core.create_namespace({"metadata": {"name": NAMESPACE}})
        wait_for("the namespace's account", lambda: core.list_namespaced_service_account(NAMESPACE).items)
        scheduling: Any = client.SchedulingV1Api(core.api_client)
        scheduling.create_priority_class({"metadata": {"name": USER_PRIORITY}, "value": 0})
        yield running


def asked(cluster: Cluster, plural: str, body: dict[str, Any]) -> requests.Response:
    """The API server's answer to who would create an object: read strictly, admitted, not kept."""
    plane = cluster.control_plane
    return requests.post(
        f"{plane.url}/api/v1/namespaces/{NAMESPACE}/{plural}?dryRun=All&fieldValidation=Strict",
        json=body,
        cert=(str(plane.pki("admin.crt")), str(plane.pki("admin.key"))),
        verify=str(plane.pki("ca.crt")),
        timeout=30,
    )


@every_file
def test_the_api_server_accepts_them(cluster: Cluster, path: Path) -> None:
    for profile, server in made(path).values():
        answer = asked(cluster, "pods", server.pod)
        assert answer.status_code == 201, answer.text
        requests_made = parse_all(answer.json()["spec"]["containers"][0]["resources"]["requests"])
        assert requests_made == parse_all({"memory": f"{profile.memory_mib}Mi", "cpu": str(profile.cpus)})
        if server.claim:
            answer = asked(cluster, "persistentvolumeclaims", server.claim)
            assert answer.status_code == 201, answer.text


def test_the_api_server_accepts_odd_names(cluster: Cluster) -> None:
    values = values_of(settings_of(PROGRAM / "Pulumi.dev.yaml"))
    for server in kubespawner_pods.user_servers(values, [(name, "low-power") for name in ODD_NAMES]):
        assert asked(cluster, "pods", server.pod).status_code == 201
        assert server.claim
        assert asked(cluster, "persistentvolumeclaims", server.claim).status_code == 201


@pytest.mark.parametrize(
    "break_it",
    [
        lambda spec: spec["nodeSelector"].update({"a": 5}),
        lambda spec: spec["containers"][0]["resources"]["requests"].update(memory="lots"),
        lambda spec: spec["containers"][0]["volumeMounts"].append({"name": "missing", "mountPath": "/x"}),
        lambda spec: spec.update(priorityClassName="missing"),
        lambda spec: spec.update(nodeSelektor={}),
    ],
    ids=["selector", "amount", "volume", "priority", "misspelt"],
)
def test_the_api_server_refuses_what_is_wrong(
    cluster: Cluster, break_it: Callable[[dict[str, Any]], None]
) -> None:
    """Else its acceptance would say nothing."""
    pod = copy.deepcopy(made(PROGRAM / "Pulumi.dev.yaml")["low-power"][1].pod)
    break_it(pod["spec"])
    assert asked(cluster, "pods", pod).status_code in (400, 403, 422)


def test_a_profile_that_is_not_offered_is_refused() -> None:
    values = values_of(settings_of(PROGRAM / "Pulumi.dev.yaml"))
    with pytest.raises(ValueError, match="No such profile: huge"):
        kubespawner_pods.user_servers(values, [("ann", "huge")])
