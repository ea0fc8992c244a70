"""The image where no container engine is: its Dockerfile carried out in a folder of packages, and started."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from jupyter_image import environment, sources
from jupyter_image.root_folder import build, namespace, recipe, rehearsal, stand_ins
from jupyter_image.root_folder.build import Built, StandIn
from jupyter_image.root_folder.layers import cache
from jupyter_image.root_folder.namespace import Inside, Mount, RootFolderError
from tests.free_ports import free_port
from tests.lab import debian_packages

SMOKE_TEST = Path(sources.__file__).with_name("smoke_test.py")
USER, GROUP = 1000, 100
LONG = 180.0
"""Seconds that anything may take on a busy machine."""


@pytest.fixture(scope="module")
def image() -> Built:
    """The image, from the user's cache where nothing has changed since; the first time takes some minutes."""
    if os.geteuid() == 0:
        debian_packages.ensure(["mmdebstrap"], ["mmdebstrap"])
    if reason := namespace.unable():
        pytest.skip(f"the image's root folder cannot be made: {reason}")
    return rehearsal.image()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A new user's home: empty, and his."""
    folder = tmp_path / "home"
    folder.mkdir()
    os.chown(folder, USER, GROUP)
    return folder


def run(inside: Inside, *command: str) -> subprocess.CompletedProcess[str]:
    with namespace.started(inside, command, subprocess.PIPE) as process:
        output, _ = process.communicate(timeout=2 * LONG)
    return subprocess.CompletedProcess(command, process.returncode, output)


def with_mounts(inside: Inside, *mounts: Mount) -> Inside:
    return dataclasses.replace(inside, mounts=(*inside.mounts, *mounts))


def at(built: Built, place: str) -> list[Path]:
    """What the Dockerfile's own layers hold at a place, those of the base left out."""
    return [path for folder in built.layers.folders[:-2] if (path := folder / place).exists()]


def test_what_a_user_relies_on(image: Built, home: Path) -> None:
    """Programs, imports, shells, kernel, extensions, the desktop's registration: see smoke_test.py."""
    inside = with_mounts(
        rehearsal.as_user(image, home), Mount(source=str(SMOKE_TEST), target="/smoke_test.py")
    )
    answer = run(inside, *rehearsal.ENTRY_POINT, "python", "/smoke_test.py")
    assert answer.returncode == 0, answer.stdout
    assert "\n0 failed" in answer.stdout


def test_the_smoke_test_sees_what_is_missing(image: Built, home: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise ImportError('broken for this test')\n")
    inside = with_mounts(
        rehearsal.as_user(image, home),
        Mount(source=str(SMOKE_TEST), target="/smoke_test.py"),
        Mount(source="/dev/null", target="/usr/local/lrose/bin/HawkEye"),
        Mount(source=str(broken), target="/opt/gateway/lib/python3.13/site-packages/pyart/__init__.py"),
    )
    answer = run(inside, *rehearsal.ENTRY_POINT, "python", "/smoke_test.py")
    assert answer.returncode == 1
    assert "FAILED  HawkEye" in answer.stdout
    assert "FAILED  pyart: ImportError: broken for this test" in answer.stdout
    assert "ok      wradlib" in answer.stdout


def test_the_environment_is_the_lock_and_the_desktop(image: Built, home: Path) -> None:
    answer = run(rehearsal.as_user(image, home), "/opt/gateway/bin/pip", "list", "--format=freeze")
    found = dict(line.split("==") for line in answer.stdout.splitlines() if "==" in line)
    installed = {environment.normal(name): version for name, version in found.items()}
    assert installed.pop("virtual-desktop")
    assert installed == {name: version for name, (version, _) in environment.locked().items()}


@contextlib.contextmanager
def server(inside: Inside, log: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """JupyterLab, started as the hub starts a server: by the image's entry point, in an empty environment."""
    command = ["jupyter", "lab", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--no-browser"]
    with (
        log.open("w") as out,
        namespace.started(inside, [*rehearsal.ENTRY_POINT, *command], out.fileno()) as process,
    ):
        yield process


def answered(process: subprocess.Popen[str], port: int, token: str, log: Path) -> requests.Response:
    """JupyterLab's first answer."""
    deadline = time.monotonic() + LONG
    last = "nothing"
    while time.monotonic() < deadline:
        assert process.poll() is None, f"it ended with {process.returncode}:\n{log.read_text()}"
        try:
            url = f"http://127.0.0.1:{port}/api/status"
            answer = requests.get(url, headers={"Authorization": f"token {token}"}, timeout=30)
            if answer.ok:
                return answer
            last = f"{answer.status_code} {answer.text}"
        except requests.RequestException as error:
            last = str(error)
        time.sleep(0.2)
    raise AssertionError(f"no answer within {LONG:.0f} s; last seen: {last}\n{log.read_text()}")


def alive(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Everything that runs inside, as long as it does."""
    found = []
    for one in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if one.status() != psutil.STATUS_ZOMBIE and one.name():
                found.append(one)
    return found


def ended(processes: list[psutil.Process]) -> None:
    _, left = psutil.wait_procs(processes, timeout=LONG)
    assert left == []


def test_jupyterlab_answers_from_inside(image: Built, home: Path, tmp_path: Path) -> None:
    port, token, log = free_port(), secrets.token_hex(16), tmp_path / "log"
    inside = rehearsal.as_user(image, home, JUPYTER_TOKEN=token)
    with server(inside, log, port) as process:
        answered(process, port, token, log)
        headers = {"Authorization": f"token {token}"}
        page = requests.get(f"http://127.0.0.1:{port}/lab", headers=headers, timeout=LONG)
        assert page.ok
        assert "JupyterLab" in page.text
        assert requests.get(f"http://127.0.0.1:{port}/api/status", timeout=LONG).status_code == 403
        launchers = requests.get(
            f"http://127.0.0.1:{port}/server-proxy/servers-info", headers=headers, timeout=LONG
        )
        assert "Virtual Desktop" in [
            each["launcher_entry"]["title"] for each in launchers.json()["server_processes"]
        ]

        family = psutil.Process(process.pid).children(recursive=True)
        lab = [each for each in family if "jupyter-lab" in " ".join(each.cmdline())]
        assert {each.uids().real for each in lab} == {USER}
        assert {each.gids().real for each in lab} == {GROUP}
        assert Path(f"/proc/{lab[-1].pid}/root").readlink() != Path("/")
        assert token not in " ".join(word for each in family for word in each.cmdline())

        text = log.read_text()
        # Conda's activation comes first, and the gateway's environment is the one that is found all the same.
        hooks = re.findall(r"before-notebook.d/(\S+)", text)
        assert hooks == ["10activate-conda-env.sh", "20-gateway-environment.sh"]
        listening = {
            each.laddr.ip for one in family for each in one.net_connections("tcp") if each.status == "LISTEN"
        }
        assert listening == {"127.0.0.1"}

        # As Kubernetes ends a pod: a signal to its first process, which has time to clean up.
        first = psutil.Process(process.pid).children()[0]
        first.send_signal(signal.SIGTERM)
        ended(family)
        process.wait(timeout=LONG)


def test_the_desktop_starts_with_the_packages_of_the_image(image: Built, home: Path, tmp_path: Path) -> None:
    """Debian's programs and the desktop's own package are enough; tests/image has all else about it."""
    port, token, log = free_port(), secrets.token_hex(16), tmp_path / "log"
    with server(rehearsal.as_user(image, home, JUPYTER_TOKEN=token), log, port) as process:
        answered(process, port, token, log)
        headers = {"Authorization": f"token {token}"}
        page = requests.get(f"http://127.0.0.1:{port}/virtual-desktop/", headers=headers, timeout=LONG)
        assert page.ok, page.text
        wanted = {"Xvfb", "x11vnc", "xfwm4", "xfce4-panel", "xfdesktop"}
        deadline = time.monotonic() + LONG
        running: set[str] = set()
        while not wanted <= running:
            assert time.monotonic() < deadline, (
                f"not running: {wanted - running}; {running}\n{log.read_text()}"
            )
            time.sleep(0.2)
            running = {one.name() for one in alive(process)}
        assert {one.uids().real for one in alive(process) if one.name() in wanted} == {USER}


def test_packages_left_in_an_old_home_do_no_harm(image: Built, home: Path) -> None:
    """What `pip install --user` of an earlier image left there is not found by the server."""
    left = home / ".local/lib/python3.13/site-packages/tornado"
    left.mkdir(parents=True)
    (left / "__init__.py").write_text("raise SystemError('of another image')\n")
    answer = run(rehearsal.as_user(image, home), *rehearsal.ENTRY_POINT, "python", "-c", "import tornado.web")
    assert answer.returncode == 0, answer.stdout


def test_nothing_stays_behind_when_it_is_killed(image: Built, home: Path, tmp_path: Path) -> None:
    port, token, log = free_port(), secrets.token_hex(16), tmp_path / "log"
    with server(rehearsal.as_user(image, home, JUPYTER_TOKEN=token), log, port) as process:
        answered(process, port, token, log)
        family = psutil.Process(process.pid).children(recursive=True)
        assert family
        process.kill()
        ended(family)
    assert str(cache()) not in Path("/proc/self/mountinfo").read_text()


def test_a_full_home_can_still_be_opened(image: Built, home: Path, tmp_path: Path) -> None:
    """The user who filled it is the one who can tidy it up."""
    port, token, log = free_port(), secrets.token_hex(16), tmp_path / "log"
    inside = rehearsal.as_user(image, home, JUPYTER_TOKEN=token)
    inside = dataclasses.replace(inside, user="0:0", mounts=())
    fill = (
        "mount -t tmpfs -o size=64k,uid=1000,gid=100,mode=755 home /home/jovyan; "
        "head -c 1M /dev/zero >/home/jovyan/data 2>/dev/null || true; "
        "! echo more >/home/jovyan/file || exit 9; "
        'exec setpriv --reuid 1000 --regid 100 --clear-groups --pdeathsig KILL -- "$@"'
    )
    lab = ["jupyter", "lab", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--no-browser"]
    command = ["bash", "-c", fill, "bash", *rehearsal.ENTRY_POINT, *lab]
    with log.open("w") as out, namespace.started(inside, command, out.fileno()) as process:
        answered(process, port, token, log)
        listing = requests.get(
            f"http://127.0.0.1:{port}/api/contents", headers={"Authorization": f"token {token}"}, timeout=LONG
        )
        assert listing.ok, listing.text


def test_the_image_has_nothing_in_the_home(image: Built) -> None:
    """It is a volume, and would hide it."""
    assert [path for home in at(image, "home/jovyan") for path in home.rglob("*")] == []


def test_the_image_carries_no_caches(image: Built) -> None:
    assert at(image, "root/.cache") == []
    kept = [path for place in ("var/lib/apt/lists", "tmp", "context") for path in at(image, place)]
    assert [path for folder in kept for path in folder.rglob("*") if path.is_file()] == []
    archives = [path for folder in at(image, "var/cache/apt") for path in folder.rglob("*.deb")]
    assert archives == []


def test_the_build_ends_as_the_images_user(image: Built) -> None:
    assert image.user == f"{USER}:{GROUP}"
    assert image.environment["PATH"].startswith("/opt/gateway/bin:/usr/local/lrose/bin:/opt/conda/bin:")
    assert image.labels["gateway.lrose.release"] == rehearsal.RELEASE


def built_with(folder: Path, package_checksum: str | None, archive_checksum: str) -> None:
    """The build with other checksums than the stand-ins have; None for none."""
    stand_ins.debian_package(folder)
    stand_ins.viewer_archive(folder)
    with stand_ins.served(folder) as address:
        file = stand_ins.sources(folder, address, package_checksum or "0" * 64, archive_checksum)
        if package_checksum is None:
            file.write_text(re.sub(r'"lrose-core-20260425" = .*\n', "", file.read_text()))
        build.image(rehearsal.ARGUMENTS, {"sources.toml": StandIn(path=file, key=secrets.token_hex())})


def test_a_release_with_another_checksum_is_not_installed(image: Built, tmp_path: Path) -> None:
    with pytest.raises(
        RootFolderError, match=rf"has SHA-256 [0-9a-f]{{64}}, but sources.toml says {'1' * 64}"
    ):
        built_with(tmp_path, "1" * 64, "2" * 64)


def test_a_release_without_a_checksum_is_not_installed(image: Built, tmp_path: Path) -> None:
    with pytest.raises(
        RootFolderError, match="no sha256 for lrose lrose-core-20260425, so it is not installed"
    ):
        built_with(tmp_path, None, "2" * 64)


def test_a_base_without_a_digest_is_refused(image: Built, tmp_path: Path) -> None:
    file = stand_ins.sources(tmp_path, "http://127.0.0.1:9", "1" * 64, "2" * 64)
    plain = {**rehearsal.ARGUMENTS, "BASE_IMAGE": recipe.stages()[0]["BASE_IMAGE"]}
    with pytest.raises(RootFolderError, match="which has no digest and can change under its name"):
        build.image(plain, {"sources.toml": StandIn(path=file, key=secrets.token_hex())})
