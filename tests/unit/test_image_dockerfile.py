"""The image's Dockerfile, scripts, package lists and workflow: what they name is there, and linters agree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from jupyter_image.root_folder import recipe
from jupyter_image.root_folder.recipe import Instruction, Stage
from lab.debian import apt_get
from lab.toolchain import go_modules, inventory

PROGRAM = Path(__file__).resolve().parents[2]
IMAGE = PROGRAM / "jupyter_image"
WORKFLOW = PROGRAM / ".github" / "workflows" / "image.yml"
SCRIPTS = sorted(
    [*IMAGE.glob("*.sh"), *(IMAGE / "install").glob("*.sh"), *(IMAGE / "root_folder").glob("*.sh")]
)
SOURCED = sorted((IMAGE / "startup").rglob("*.sh"))
LISTS = sorted((IMAGE / "apt").glob("*.txt"))
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"

OF_UBUNTU_ALONE: frozenset[str] = frozenset()
"""Packages of the lists that Ubuntu 24.04 has and Debian 12 has not. None so far."""

ARGUMENTS, STAGES = recipe.stages()


def instructions(word: str, stages: list[Stage] = STAGES) -> list[Instruction]:
    return [each for stage in stages for each in stage.instructions if each.word == word]


def context_sources() -> list[str]:
    """What the build takes from its context."""
    binds = [bind for run in instructions("RUN") for bind in recipe.run(run.value)[0]]
    return sorted({bind.source for bind in binds if bind.stage is None})


def packages(file: Path) -> list[str]:
    lines = [line.strip() for line in file.read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def lint(*command: str) -> None:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def program(name: str) -> str:
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found, f"{name} is not installed; it is among the project's requirements"
    return found


@pytest.mark.parametrize("source", context_sources())
def test_what_the_build_takes_from_its_context_is_there(source: str) -> None:
    path = IMAGE / source
    assert path.is_file() or any(path.iterdir())


@pytest.mark.parametrize("source", context_sources())
def test_dockerignore_lets_it_in(source: str) -> None:
    lines = (IMAGE / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    assert f"!{source.partition('/')[0]}" in lines


def test_nothing_is_copied_that_the_image_would_keep() -> None:
    """Scripts and lists are mounted for their step alone; `recipe` would not know another instruction."""
    words = {each.word for stage in STAGES for each in stage.instructions}
    assert words <= {"ARG", "ENV", "LABEL", "RUN", "SHELL", "USER"}


def test_dockerignore_lets_nothing_else_in() -> None:
    lines = (IMAGE / ".dockerignore").read_text().splitlines()
    assert sorted(line[1:] for line in lines if line.startswith("!")) == sorted(
        {source.partition("/")[0] for source in context_sources()}
    )


def test_every_path_that_a_command_names_is_mounted_there() -> None:
    for run in instructions("RUN"):
        binds, command = recipe.run(run.value)
        for path in re.findall(r"/context/[\w./*-]+|/downloads/[\w./*-]+|/wheels/[\w./*-]+", command):
            mounted = [bind for bind in binds if path == bind.target or path.startswith(bind.target + "/")]
            assert mounted, f"{path} is mounted by none of {binds}"
            if mounted[0].stage is None:
                assert (IMAGE / mounted[0].source / path[len(mounted[0].target) :].lstrip("/")).exists(), path


def test_what_is_taken_from_a_stage_was_made_in_it() -> None:
    made = {stage.name: " ".join(each.value for each in stage.instructions) for stage in STAGES}
    for run in instructions("RUN"):
        binds, command = recipe.run(run.value)
        for bind in binds:
            if bind.stage is not None:
                for path in re.findall(re.escape(bind.target) + r"/([\w.*-]+)", command):
                    name = bind.source if "*" in path else f"{bind.source}/{path}"
                    assert name in made[bind.stage]


def test_every_script_of_the_installation_is_used_and_can_be_run() -> None:
    commands = " ".join(run.value for run in instructions("RUN"))
    for script in (IMAGE / "install").iterdir():
        assert f"/context/{script.name} " in commands
        assert os.access(script, os.X_OK)


@pytest.mark.parametrize(
    ("variables", "heap"),
    [
        ({"MEM_LIMIT": str(8 << 30)}, "-Xmx4096m "),
        ({"MEM_LIMIT": str(8 << 30), "_JAVA_OPTIONS": "-Xmx3g"}, "-Xmx4096m -Xmx3g"),
        ({}, "none"),
        ({"MEM_LIMIT": ""}, "none"),
    ],
)
def test_the_viewers_heap_fits_the_users_server(variables: dict[str, str], heap: str, tmp_path: Path) -> None:
    """Java takes the last of several heaps in ``_JAVA_OPTIONS``."""
    viewer = tmp_path / "runIDV"
    viewer.write_text('#!/bin/sh\necho "${_JAVA_OPTIONS-none}|$*"\n')
    viewer.chmod(0o755)
    script = tmp_path / "idv"
    script.write_text((IMAGE / "install" / "start_idv.sh").read_text().replace("/opt/IDV", str(tmp_path)))
    answer = subprocess.run(
        ["bash", str(script), "-bundle", "a b"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], **variables},
    )
    assert answer.stdout == f"{heap}|-bundle a b\n"


def test_every_package_list_is_installed() -> None:
    commands = " ".join(run.value for run in instructions("RUN"))
    assert all(f"/context/apt/{file.name}" in commands for file in LISTS)
    assert len(LISTS) == 2


def test_every_stage_is_built_on_the_base_that_the_build_is_given() -> None:
    assert {stage.base for stage in STAGES} == {"${BASE_IMAGE}"}
    assert re.search(r":\d{4}-\d\d-\d\d$", ARGUMENTS["BASE_IMAGE"])


def test_the_first_thing_built_refuses_a_base_without_a_digest() -> None:
    first = next(each for each in STAGES[0].instructions if each.word == "RUN")
    assert recipe.run(first.value)[1].startswith('python /context/sources.py require-digest "${BASE_IMAGE}"')
    # The last stage needs this one, so it cannot be left out.
    binds = [bind for run in instructions("RUN", STAGES[-1:]) for bind in recipe.run(run.value)[0]]
    assert STAGES[0].name in {bind.stage for bind in binds}


def test_the_image_runs_as_its_user() -> None:
    users = [each.value for each in STAGES[-1].instructions if each.word == "USER"]
    assert users == ["0", "1000"]
    assert STAGES[-1].instructions[-1].word == "USER"
    assert all(each.value != "0" for each in instructions("USER", STAGES[:-1]))


def test_no_secret_is_built_in() -> None:
    names = "".join(each.value for word in ("ARG", "ENV", "LABEL") for each in instructions(word))
    assert not re.search(r"(?i)password|passwd|secret|token|api_?key|private", names)


def test_the_scripts_put_nothing_into_the_home() -> None:
    for script in [*(IMAGE / "install").glob("*.sh"), *SOURCED]:
        assert not re.search(r"/home/|\$HOME|~/", script.read_text()), script


def test_the_labels_say_what_it_is_built_on() -> None:
    labels = recipe.pairs(
        next(each.value for each in instructions("LABEL")), {"BASE_IMAGE": "base", "LROSE_RELEASE": "release"}
    )
    assert labels["org.opencontainers.image.base.name"] == "base"
    assert labels["gateway.lrose.release"] == "release"


def test_hadolint() -> None:
    lint(program("hadolint"), "--failure-threshold", "style", str(IMAGE / "Dockerfile"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_of_scripts(script: Path) -> None:
    assert script.read_text().startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in script.read_text()
    # The stand-in of the base image sources hooks whose names nobody knows yet.
    lint(program("shellcheck"), str(script))


@pytest.mark.parametrize("script", SOURCED, ids=lambda path: path.name)
def test_shellcheck_of_what_shells_read(script: Path) -> None:
    """Whatever the shell: /etc/profile.d is also read by those that are no bash."""
    assert not script.read_text().startswith("#!")
    lint(program("shellcheck"), "--shell", "sh", str(script))


@pytest.mark.parametrize("file", LISTS, ids=lambda path: path.name)
def test_package_lists_say_why(file: Path) -> None:
    named = packages(file)
    assert len(set(named)) == len(named)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", name) for name in named)
    paragraph = file.read_text().split("\n\n", 1)[1]
    assert paragraph.startswith("# "), "the first package has no reason"


@pytest.fixture(scope="module")
def known_packages() -> set[str]:
    """The names in Debian's index, as far as this machine has it."""
    if shutil.which("apt-cache") is None:
        pytest.skip("no apt-cache here: not a Debian or Ubuntu machine")
    names = subprocess.run(
        ["apt-cache", "pkgnames"], capture_output=True, text=True, check=True
    ).stdout.split()
    if len(names) < 10_000 and os.geteuid() == 0:
        subprocess.run(apt_get("--quiet", "update"), check=True, stdout=subprocess.DEVNULL)
        names = subprocess.run(
            ["apt-cache", "pkgnames"], capture_output=True, text=True, check=True
        ).stdout.split()
    if len(names) < 10_000:
        pytest.skip("apt has no index here; run `apt-get update` as root")
    return set(names)


@pytest.mark.parametrize("file", LISTS, ids=lambda path: path.name)
def test_debian_has_every_package(file: Path, known_packages: set[str]) -> None:
    named = set(packages(file))
    assert named - known_packages == named & OF_UBUNTU_ALONE


def test_the_check_of_packages_sees_a_wrong_name(known_packages: set[str]) -> None:
    assert "xfce4-no-such-thing" not in known_packages


def test_actionlint() -> None:
    go = go_modules.find_go(inventory.load().go)
    quiet = {**os.environ, "GOFLAGS": "-mod=mod"}
    answer = subprocess.run(
        [go, "run", ACTIONLINT, "-shellcheck", program("shellcheck"), str(WORKFLOW)],
        capture_output=True,
        text=True,
        check=False,
        env=quiet,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_zizmor() -> None:
    lint(program("zizmor"), "--offline", "--quiet", str(WORKFLOW))


def test_actions_are_pinned_by_commit_and_say_their_version() -> None:
    uses = re.findall(r"uses: (.*)", WORKFLOW.read_text())
    assert uses
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) for each in uses), uses


def step_of(job: dict[str, Any], words: str) -> tuple[int, dict[str, Any]]:
    """The one step of a job that has these words in it, and its place."""
    found = [(place, step) for place, step in enumerate(job["steps"]) if words in str(step)]
    assert len(found) == 1, f"{words} is in {len(found)} steps"
    return found[0]


def test_what_is_published_is_what_was_tried_and_scanned() -> None:
    """A build from the cache may differ from the one before: what was pushed is checked, then tagged."""
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    publish = jobs["publish"]
    name, digest = "${{ steps.names.outputs.name }}", "${{ steps.push.outputs.digest }}"
    pushed_at, push = step_of(publish, "docker/build-push-action@")
    assert push["id"] == "push"
    assert "tags" not in push["with"]
    assert {"push-by-digest=true", "push=true", f"name={name}"} <= set(push["with"]["outputs"].split(","))

    tried_at, tried = step_of(publish, "try_image.sh")
    assert tried["env"] == {"IMAGE": f"{name}@{digest}"}
    scanned_at, scanned = step_of(publish, "aquasecurity/trivy-action@")
    assert scanned["with"].pop("image-ref") == f"{name}@{digest}"
    tagged_at, tagged = step_of(publish, "imagetools create")
    assert 'create --tag "$NAME:$TAG" "$NAME@$DIGEST"' in tagged["run"]
    assert (tagged["env"]["NAME"], tagged["env"]["DIGEST"]) == (name, digest)
    assert pushed_at < tried_at < scanned_at < tagged_at == len(publish["steps"]) - 1

    # A pull request is tried and scanned in the same way.
    assert "try_image.sh gateway:checked" in step_of(jobs["check"], "try_image.sh")[1]["run"]
    before = step_of(jobs["check"], "aquasecurity/trivy-action@")[1]
    assert before["with"].pop("image-ref") == "gateway:checked"
    assert before == scanned
    assert publish["outputs"]["digest"] == digest


def test_the_trial_of_an_image_can_be_run() -> None:
    assert os.access(IMAGE / "try_image.sh", os.X_OK)


def test_only_what_publishes_may_write() -> None:
    jobs = yaml.safe_load(WORKFLOW.read_text())
    assert jobs["permissions"] == {}
    granted = {name: job["permissions"] for name, job in jobs["jobs"].items()}
    assert granted == {
        "check": {"contents": "read"},
        "publish": {"contents": "read", "packages": "write"},
        "propose": {"contents": "write", "pull-requests": "write"},
    }
    assert "refs/heads/main" in jobs["jobs"]["publish"]["if"]
    assert jobs["jobs"]["propose"]["needs"] == "publish"
