"""What is refused, by the real engine: before any resource is planned, in words, without a traceback."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from openstack.connection import Connection

from lab import paths
from tests.lab.stack import Settings, Stack, dev_settings

# The unit tests give each file to the program's parser. By the engine, which takes seconds for each, goes
# every fifth: all are refused at the same place of the program.
BAD = sorted((paths.PROGRAM / "tests" / "unit" / "settings" / "bad").glob("*.yaml"))[::5]


@pytest.fixture(scope="module")
def stack(lab_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A stack that never comes up."""
    return Stack("refused", tmp_path_factory.mktemp("settings"), lab_environment)


def planned_nothing(stdout: str) -> bool:
    """Whether a ``preview --json`` planned no resource but the stack itself."""
    steps = json.loads(stdout[stdout.index("{") :]).get("steps") or []
    return all(step["urn"].split("::")[2].startswith("pulumi:pulumi:Stack") for step in steps)


def encrypted(stack: Stack, text: str) -> str:
    """A secret setting as Pulumi encrypts it: the engine reads a file only if it can decrypt it."""
    stack.write(dev_settings())
    result = stack.pulumi("config", "set", "--secret", "gateway:example", text)
    assert result.returncode == 0, result.stderr
    return str(yaml.safe_load(stack.file.read_text())["config"]["gateway:example"]["secure"])


def test_there_are_at_least_twenty_bad_files() -> None:
    assert len(BAD) >= 20


def test_bad_settings_are_refused_before_anything_is_planned(
    stack: Stack, lab_environment: dict[str, str], tmp_path: Path
) -> None:
    """The unit tests check each file's message; here the engine shows that nothing else happens."""

    texts = {file: file.read_text() for file in BAD}
    plain = {found for text in texts.values() for found in re.findall(r"secure: ([^ }]+)", text)}
    ciphers = {found: encrypted(stack, found) for found in plain}

    def preview(file: Path) -> tuple[str, int, str, str]:
        own = Stack(stack.name, stack.file.parent, lab_environment)
        own.file = tmp_path / file.name
        text = re.sub(r"secure: ([^ }]+)", lambda found: f"secure: '{ciphers[found[1]]}'", texts[file])
        settings = yaml.safe_load(text)
        own.write({**settings, "encryptionsalt": dev_settings()["encryptionsalt"]})
        result = own.pulumi("preview", "--json")
        return file.name, result.returncode, result.stdout, result.stderr

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(preview, BAD))

    texts_by_name = {file.name: text for file, text in texts.items()}
    for name, code, stdout, stderr in results:
        assert code != 0, name
        assert "Traceback" not in stdout + stderr, name
        path, _, fragment = texts_by_name[name].splitlines()[0].removeprefix("# ").partition(" | ")
        assert path in stdout + stderr, name
        assert fragment in stdout + stderr, name
        assert planned_nothing(stdout), name


def _cloud(key: str, value: str) -> Callable[[Settings], None]:
    def change(settings: Settings) -> None:
        settings["config"]["gateway:cloud"][key] = value

    return change


def _cluster(key: str, value: str) -> Callable[[Settings], None]:
    def change(settings: Settings) -> None:
        settings["config"]["gateway:cluster"][key] = value

    return change


def _pool_flavor(settings: Settings) -> None:
    settings["config"]["gateway:flavors"] = {"m9.none": {"vcpus": 8, "memory_gib": 30}}
    settings["config"]["gateway:pools"]["high"]["flavor"] = "m9.none"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_cloud("external_network", "internet"), ["gateway:cloud.external_network", "internet"]),
        (_cluster("template", "kubernetes-1-99"), ["gateway:cluster.template", "kubernetes-1-99"]),
        (_pool_flavor, ["m9.none", "flavor"]),
    ],
    ids=["external network", "template", "flavor"],
)
def test_what_the_cloud_does_not_have_is_named(
    stack: Stack, change: Callable[[Settings], None], said: list[str]
) -> None:
    settings = dev_settings()
    change(settings)
    stack.write(settings)

    result = stack.pulumi("preview", "--json")

    text = result.stdout + result.stderr
    assert result.returncode != 0, text
    assert "Traceback" not in text
    assert planned_nothing(result.stdout)
    for word in said:
        assert word in text


@pytest.fixture
def template_without_image(cloud: Connection) -> Iterator[str]:
    """A cluster template whose image has been deleted since, as happens on a cloud over the years."""
    image = cloud.image.create_image(
        name="short-lived",
        disk_format="raw",
        container_format="bare",
        data=b"nothing",
        validate_checksum=False,
        os_distro="ubuntu",
    )
    magnum = cloud.container_infrastructure_management
    template = magnum.create_cluster_template(
        name="of-a-deleted-image", image_id=image.id, coe="kubernetes", external_network_id="public"
    )
    cloud.image.delete_image(image.id)
    yield template.name
    magnum.delete_cluster_template(template)


def test_template_of_a_deleted_image_is_named(stack: Stack, template_without_image: str) -> None:
    settings = dev_settings()
    settings["config"]["gateway:cluster"]["template"] = template_without_image
    stack.write(settings)

    result = stack.pulumi("preview", "--json")

    text = result.stdout + result.stderr
    assert result.returncode != 0, text
    assert "Traceback" not in text
    assert planned_nothing(result.stdout)
    for word in ("gateway:cluster.template", template_without_image, "image"):
        assert word in text


def _clouds(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> dict[str, str]:
    clouds = yaml.safe_load(paths.CLOUDS_YAML.read_text())
    change(clouds["clouds"]["lab"])
    file = tmp_path / "clouds.yaml"
    file.write_text(yaml.safe_dump(clouds))
    file.chmod(0o600)
    return {"OS_CLIENT_CONFIG_FILE": str(file)}


def _wrong_secret(cloud: dict[str, Any]) -> None:
    cloud["auth"]["application_credential_secret"] = "wrong-secret-5d41402abc"


def _nobody_there(cloud: dict[str, Any]) -> None:
    cloud["auth"]["auth_url"] = "http://127.0.0.1:9/v3"


@pytest.mark.parametrize(
    ("change", "said"),
    [(_wrong_secret, "credential"), (_nobody_there, "http://127.0.0.1:9/v3")],
    ids=["wrong credentials", "unreachable cloud"],
)
def test_cloud_that_does_not_let_us_in_is_one_clear_sentence(
    stack: Stack, tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    stack.write(dev_settings())

    result = stack.pulumi("preview", "--json", environment=_clouds(tmp_path, change))

    text = result.stdout + result.stderr
    assert result.returncode != 0, text
    assert "Traceback" not in text
    assert "wrong-secret-5d41402abc" not in text
    assert said in text
    assert planned_nothing(result.stdout)


def test_unknown_cloud_names_the_ones_there_are(stack: Stack) -> None:
    settings = dev_settings()
    settings["config"]["gateway:cloud"]["name"] = "elsewhere"
    stack.write(settings)

    result = stack.pulumi("preview", "--json")

    text = result.stdout + result.stderr
    assert result.returncode != 0
    assert "elsewhere" in text
    assert "Traceback" not in text
