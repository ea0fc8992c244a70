"""The chart's values: valid for the real chart, the same at every rendering, and never larger than a node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jupyter_server.serverapp import ServerApp
from jupyter_server.services.kernels.kernelmanager import MappingKernelManager

from components.hub_values import merged
from components.hub_values.placement import NODE_GROUP_LABEL
from components.hub_values.server import COMMANDS_PART
from components.jupyterhub import chart_values
from stacks.flavors import for_users
from stacks.hub_args import hub_args, profiles
from stacks.settings import Settings
from stacks.settings_parsing import parse
from tests.unit.settings_files import GOOD, PROGRAM, configuration

SCHEMA = PROGRAM.parent / "shared" / "reference" / "z2jh-values.schema.json"
KEYS = {"cookie_secret": "c0", "proxy_token": "70", "crypt_key": "6b"}
DEV, PROD = PROGRAM / "Pulumi.dev.yaml", PROGRAM / "Pulumi.prod.yaml"
FILES = [DEV, PROD, *sorted(GOOD.glob("*.yaml"))]
PROD_SECRETS = {"github_client_secret": "not-a-real-secret"}
"""What the shipped file leaves to whoever takes it over."""


def settings_of(path: Path) -> Settings:
    config, secret = configuration(path)
    if path == PROD:
        config, secret = config | {"gateway:secrets": json.dumps(PROD_SECRETS)}, secret | {"gateway:secrets"}
    return parse(config, secret)


def values_of(settings: Settings) -> dict[str, Any]:
    """The chart's values, with plain texts for secrets."""
    args = hub_args(
        settings,
        namespace=settings.hub.namespace,
        storage_class="gateway",
        shared_homes_source={"nfs": {"server": "172.24.0.11", "path": "/"}},
        shared_drive_source={"nfs": {"server": "172.24.0.12", "path": "/"}},
        hide=lambda _: "a-secret",
    )
    return chart_values(args, KEYS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_real_chart_accepts_them(path: Path) -> None:
    if not SCHEMA.exists():
        pytest.skip(f"the chart's schema is not at {SCHEMA}")
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
    errors = validator.iter_errors(values_of(settings_of(path)))
    # What the schema requires and we leave out comes from the chart's own defaults.
    wrong = [f"{error.json_path}: {error.message}" for error in errors if error.validator != "required"]
    assert wrong == []


def test_the_schema_tells_a_wrong_value() -> None:
    if not SCHEMA.exists():
        pytest.skip(f"the chart's schema is not at {SCHEMA}")
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
    assert [error for error in validator.iter_errors({"hub": {"bogus": 1}}) if error.validator != "required"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_two_renderings_are_the_same(path: Path) -> None:
    first, second = (json.dumps(values_of(settings_of(path))) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_profile_is_larger_than_its_node(path: Path) -> None:
    settings = settings_of(path)
    for profile in profiles(settings):
        shape = settings.shape(settings.pools[profile.pool].flavor)
        assert shape is not None
        assert profile.memory_mib <= for_users(shape).memory_mib
        assert profile.cpus <= profile.cpu_limit <= for_users(shape).cpus


def test_profiles_choose_their_pool_by_the_label_that_nodes_have() -> None:
    values = values_of(settings_of(PROGRAM / "Pulumi.dev.yaml"))
    chosen = {
        choice["slug"]: choice["kubespawner_override"]["node_selector"]
        for choice in values["singleuser"]["profileList"]
    }
    assert chosen == {"low-power": {NODE_GROUP_LABEL: "low"}, "high-power": {NODE_GROUP_LABEL: "high"}}


def test_core_pods_run_on_the_core_node() -> None:
    values = values_of(settings_of(PROGRAM / "Pulumi.dev.yaml"))
    core = {NODE_GROUP_LABEL: "default-worker"}
    assert values["hub"]["nodeSelector"] == core
    assert values["proxy"]["chp"]["nodeSelector"] == core
    assert values["scheduling"]["userScheduler"]["nodeSelector"] == core
    assert values["prePuller"]["hook"]["nodeSelector"] == core
    taint = {
        "key": "hub.jupyter.org/dedicated",
        "operator": "Equal",
        "value": "core",
        "effect": "NoSchedule",
    }
    assert values["scheduling"]["corePods"]["tolerations"] == [taint]
    assert "extraTolerations" not in values["singleuser"], "the core node's taint keeps users away"


def test_users_pods_and_image_pullers_run_on_every_pool_but_the_core() -> None:
    values = values_of(settings_of(PROGRAM / "Pulumi.dev.yaml"))
    (term,) = values["singleuser"]["extraNodeAffinity"]["required"]
    assert term["matchExpressions"] == [
        {"key": NODE_GROUP_LABEL, "operator": "Exists"},
        {"key": NODE_GROUP_LABEL, "operator": "NotIn", "values": ["default-worker"]},
    ]
    assert "nodeSelector" not in values["singleuser"]


def test_core_pods_ask_for_their_part_and_may_be_moved() -> None:
    values = values_of(settings_of(PROGRAM / "Pulumi.dev.yaml"))
    core = (values["hub"], values["proxy"]["chp"], values["scheduling"]["userScheduler"])
    for pod in (*core, values["prePuller"]["hook"]):
        assert set(pod["resources"]["requests"]) == {"cpu", "memory"}
    for pod in core:
        assert pod["pdb"]["enabled"]
    assert values["hub"]["pdb"]["minAvailable"] == values["proxy"]["chp"]["pdb"]["minAvailable"] == 0


def test_placeholders_are_not_the_charts() -> None:
    assert values_of(settings_of(GOOD / "placeholders.yaml"))["scheduling"]["userPlaceholder"] == {
        "enabled": False
    }


def test_one_more_pool_does_not_touch_the_hub() -> None:
    settings = settings_of(PROGRAM / "Pulumi.dev.yaml")
    more = settings.model_copy(update={"pools": {**settings.pools, "more": settings.pools["low"]}})
    assert values_of(more) == values_of(settings)


def test_no_second_load_balancer() -> None:
    assert values_of(settings_of(FILES[0]))["proxy"]["service"]["type"] == "ClusterIP"


def test_anyone_may_log_in_at_a_workshop_only() -> None:
    workshop = values_of(settings_of(GOOD / "public_workshop.yaml"))["hub"]["config"]
    assert workshop["JupyterHub"] == {"authenticator_class": "dummy"}
    assert workshop["DummyAuthenticator"] == {"password": "a-secret"}
    github = values_of(settings_of(GOOD / "github_production.yaml"))["hub"]["config"]
    assert github["JupyterHub"] == {"authenticator_class": "github"}
    assert (
        github["GitHubOAuthenticator"]["oauth_callback_url"]
        == "https://gateway.example.org/hub/oauth_callback"
    )
    assert "allow_all" not in github["Authenticator"]
    assert "DummyAuthenticator" not in github


def test_a_value_set_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"hub\.db\.type is set twice"):
        merged({"hub": {"db": {"type": "a"}}}, {"hub": {"db": {"type": "b"}}})


def test_merging_leaves_its_parts_alone() -> None:
    part = {"hub": {"config": {"a": 1}}}
    merged(part, {"hub": {"config": {"b": 2}}})
    assert part == {"hub": {"config": {"a": 1}}}


def test_another_tag_changes_the_image_and_nothing_else() -> None:
    settings = settings_of(GOOD / "everything.yaml")
    image = settings.hub.image.model_copy(update={"tag": "20260101", "digest": None})
    newer = settings.model_copy(update={"hub": settings.hub.model_copy(update={"image": image})})
    before, after = flat(values_of(settings)), flat(values_of(newer))
    assert {key for key in before | after if before.get(key) != after.get(key)} == {"singleuser.image.tag"}


def flat(tree: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {path: tree}
    return {k: v for key, inner in tree.items() for k, v in flat(inner, f"{path}.{key}".lstrip(".")).items()}


def test_a_digest_decides() -> None:
    image = values_of(settings_of(GOOD / "image_by_digest.yaml"))["singleuser"]["image"]
    assert image["name"] == "quay.io/nsflrose/gateway"
    assert image["tag"] == "20250811@sha256:" + "0123456789abcdef" * 4


def test_every_pod_pulls_with_the_registrys_password() -> None:
    values = values_of(settings_of(GOOD / "image_of_a_private_registry.yaml"))
    assert values["imagePullSecret"] == {
        "create": True,
        "registry": "registry.example.org:5000",
        "username": "puller",
        "password": "a-secret",
    }
    assert "imagePullSecret" not in values_of(settings_of(GOOD / "smallest.yaml"))


def test_profiles_say_what_they_are_and_cost() -> None:
    values = values_of(settings_of(GOOD / "one_pool_many_sizes.yaml"))
    texts = [choice["description"] for choice in values["singleuser"]["profileList"]]
    assert texts == [
        "For lessons. 1.9 CPUs (up to 7.6 while others are idle), 7 GiB of memory, 2 SU/h",
        "3.8 CPUs (up to 7.6 while others are idle), 14 GiB of memory, 4 SU/h",
        "7.6 CPUs, 28 GiB of memory, 8 SU/h",
    ]


def test_without_a_known_rate_no_price_is_made_up() -> None:
    values = values_of(settings_of(GOOD / "own_sizes.yaml"))
    low, high = (choice["description"] for choice in values["singleuser"]["profileList"])
    assert low.endswith("SU/h")
    assert high == "3.5 CPUs (up to 7.6 while others are idle), 12.5 GiB of memory"


def test_as_many_servers_as_the_pools_can_hold() -> None:
    expected = {"smallest": 2 * 4 + 1 * 2, "one_pool_many_sizes": 4 * 20, "packed": 25 * 100, "one_pool": 48}
    assert {
        name: values_of(settings_of(GOOD / f"{name}.yaml"))["hub"]["activeServerLimit"] for name in expected
    } == expected


def test_a_slow_node_does_not_take_the_hub_down() -> None:
    values = values_of(settings_of(GOOD / "smallest.yaml"))
    assert values["hub"]["consecutiveFailureLimit"] == 0


@pytest.mark.parametrize("path", [GOOD / "smallest.yaml", DEV, PROD])
def test_the_first_user_of_a_new_node_has_the_time_it_takes(path: Path) -> None:
    """About 300 seconds for the node, 600 for its pull of an image of 10 GB, and the commands their part."""
    start_s = values_of(settings_of(path))["singleuser"]["startTimeout"]
    assert start_s - start_s // COMMANDS_PART >= 300 + 600


def test_a_server_is_started_by_one_script_that_kubespawner_does_not_read() -> None:
    single = values_of(settings_of(GOOD / "start_commands.yaml"))["singleuser"]
    (command,) = [hook["exec"]["command"] for hook in single["lifecycleHooks"].values()]
    script = single["extraFiles"]["start-commands.sh"]
    assert command == ["bash", script["mountPath"]]
    assert script["mode"] == 0o555
    assert not script["mountPath"].startswith("/home/"), "a home is a volume of its own"
    order = [
        script["stringData"].index(f"\nattempt {name} ") for name in ("tutorials", "ssh-folder", "settings")
    ]
    assert order == sorted(order)


def test_nothing_to_do_is_no_script() -> None:
    assert "lifecycleHooks" not in values_of(settings_of(GOOD / "no_tutorials.yaml"))["singleuser"]


def test_the_environment_is_as_set_and_tells_the_depth() -> None:
    single = values_of(settings_of(GOOD / "environment.yaml"))["singleuser"]
    assert single["extraEnv"] == {
        "NBGITPULLER_DEPTH": "0",
        "START_VIRTUAL_DESKTOP": "1",
        # KubeSpawner takes one of each pair of braces away.
        "GREETING": "hello, {{you}}: $HOME # and `more`",
        "EMPTY": "",
    }


def test_kernels_are_stopped_by_settings_that_jupyters_server_reads(tmp_path: Path) -> None:
    file = values_of(settings_of(GOOD / "early_culling.yaml"))["singleuser"]["extraFiles"][
        "jupyter_server_config.json"
    ]
    assert file["mountPath"] == "/etc/jupyter/jupyter_server_config.json"
    (tmp_path / "jupyter_server_config.json").write_text(json.dumps(file["data"]))
    server = ServerApp(config_dir=str(tmp_path))
    server.load_config_file()
    kernels = MappingKernelManager(config=server.config)  # type: ignore[no-untyped-call]
    assert (kernels.cull_idle_timeout, kernels.cull_interval) == (300, 300)
    assert (kernels.cull_connected, kernels.cull_busy) == (True, False)
    assert set(file["data"]["MappingKernelManager"]) <= set(MappingKernelManager.class_trait_names())


def test_kernels_may_stay() -> None:
    single = values_of(settings_of(GOOD / "no_kernel_culling.yaml"))["singleuser"]
    assert "jupyter_server_config.json" not in single["extraFiles"]


def test_homes_are_volumes_or_folders() -> None:
    assert values_of(settings_of(GOOD / "smallest.yaml"))["singleuser"]["storage"] == {
        "homeMountPath": "/home/jovyan",
        "type": "dynamic",
        "capacity": "10Gi",
        "dynamic": {"storageClass": "gateway"},
    }
    shared = values_of(settings_of(GOOD / "shared_homes.yaml"))["singleuser"]["storage"]
    assert shared["type"] == "none"
    assert shared["extraVolumes"]["home"] == {
        "name": "home",
        "nfs": {"server": "172.24.0.11", "path": "/"},
    }
    assert shared["extraVolumeMounts"]["home"]["subPath"] == "{username}"


@pytest.mark.parametrize(("name", "read_only"), [("shared_drive", True), ("shared_homes_and_drive", False)])
def test_the_shared_drive_is_mounted_and_linked(name: str, read_only: bool) -> None:
    single = values_of(settings_of(GOOD / f"{name}.yaml"))["singleuser"]
    mount = single["storage"]["extraVolumeMounts"]["share"]
    assert mount == {"name": "share", "mountPath": "/share", "readOnly": read_only}
    assert "attempt share-link" in single["extraFiles"]["start-commands.sh"]["stringData"]
    plain = values_of(settings_of(GOOD / "smallest.yaml"))["singleuser"]
    assert "share-link" not in plain["extraFiles"]["start-commands.sh"]["stringData"]


def test_github_lets_in_organizations_teams_and_names_in_lower_case() -> None:
    config = values_of(settings_of(GOOD / "everything.yaml"))["hub"]["config"]
    assert config["GitHubOAuthenticator"]["allowed_organizations"] == ["nsf-lrose", "lrose:radar"]
    users = values_of(settings_of(GOOD / "github_users.yaml"))["hub"]["config"]["Authenticator"]
    assert users == {
        "allowed_users": ["john-d", "jane"],
        "admin_users": ["jane"],
        "allow_existing_users": False,
    }


def test_cilogon_knows_its_providers() -> None:
    config = values_of(settings_of(GOOD / "cilogon.yaml"))["hub"]["config"]
    assert config["JupyterHub"] == {"authenticator_class": "cilogon"}
    assert config["CILogonOAuthenticator"]["idps"] == {
        "https://idp.example.edu/shibboleth": {
            "username_derivation": {"username_claim": "email"},
            "allow_all": True,
        },
        "https://github.com/login/oauth/authorize": {
            "username_derivation": {"username_claim": "oidc"},
            "allow_all": False,
        },
    }
    assert config["Authenticator"]["allowed_users"] == ["jane@example.edu"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nobody_else_is_let_in(path: Path) -> None:
    settings = settings_of(path)
    config = values_of(settings)["hub"]["config"]
    strangers = config["Authenticator"].get("allow_all", False)
    assert strangers == (config["JupyterHub"]["authenticator_class"] == "dummy")
    assert strangers == settings.authentication.workshop
    assert not (strangers and settings.production)


def test_there_are_thirty_kinds_of_settings() -> None:
    assert len(FILES) >= 30
