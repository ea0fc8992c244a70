"""How the lab gets its tools: each way is tried for real, against a small release site on loopback."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi_openstack
import pytest
import requests

from lab import paths
from lab.errors import LabError
from lab.toolchain import go_modules, install, inventory, on_path, origin, releases
from lab.toolchain.inventory import Module, Release, Tool

PROGRAM = b"#!/bin/sh\necho hello v1.2.3\n"


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a cache and a state of its own."""
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    for name in ("STATE", "BIN", "LOG", "PULUMI_HOME"):
        monkeypatch.setattr(paths, name, tmp_path / "state" / name.lower())
    monkeypatch.setattr(releases, "_unreachable", set())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A release site: its address, and the folder it serves."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", folder
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def _archive(path: Path, member: str, content: bytes) -> str:
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo(member)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tool(
    url: str,
    checksums: str,
    module: Module | None = None,
    lab_plugin: str | None = None,
    sha256: str | None = None,
) -> Tool:
    return Tool(
        version="1.2.3",
        binaries=["hello"],
        version_arguments=["--version"],
        release=Release(url=url, sha256=sha256, checksums=checksums, members={"hello": "folder/hello"}),
        module=module,
        lab_plugin=lab_plugin,
        plugin="hello" if lab_plugin else None,
    )


def _use(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    table = inventory.Inventory(go=inventory.load().go, tools={"hello": tool})
    monkeypatch.setattr(install, "load", lambda: table)


def test_release_is_installed_when_its_checksum_is_right(
    site: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = site
    checksum = _archive(folder / "hello.tar.gz", "./folder/hello", PROGRAM)
    (folder / "sums").write_text(f"{'0' * 64}  other.tar.gz\n{checksum}  ./hello.tar.gz\n")
    _use(_tool(f"{url}/hello.tar.gz", f"{url}/sums"), monkeypatch)

    [found] = install.install()

    assert found.source == "official release"
    assert (paths.BIN / "hello").read_bytes() == PROGRAM
    assert install.installed() == [found]


def test_pinned_checksum_decides_and_no_list_is_asked(
    site: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = site
    checksum = _archive(folder / "hello.tar.gz", "folder/hello", PROGRAM)
    nowhere = "http://127.0.0.1:9/sums"
    _use(_tool(f"{url}/hello.tar.gz", nowhere, sha256=checksum), monkeypatch)

    [found] = install.install()

    assert found.source == "official release"


def test_release_that_is_not_what_was_pinned_is_refused_whatever_its_publisher_says(
    site: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = site
    checksum = _archive(folder / "hello.tar.gz", "folder/hello", PROGRAM)
    (folder / "sums").write_text(f"{checksum}  hello.tar.gz\n")
    _use(_tool(f"{url}/hello.tar.gz", f"{url}/sums", sha256="0" * 64), monkeypatch)

    with pytest.raises(LabError, match=r"but versions\.toml says 0000"):
        install.install()
    assert not (paths.BIN / "hello").exists()


def test_nothing_is_fetched_twice(site: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    url, folder = site
    checksum = _archive(folder / "hello.tar.gz", "folder/hello", PROGRAM)
    (folder / "sums").write_text(f"{checksum}  hello.tar.gz\n")
    _use(_tool(f"{url}/hello.tar.gz", f"{url}/sums"), monkeypatch)
    first = install.install()
    (folder / "hello.tar.gz").unlink()
    (folder / "sums").unlink()

    assert install.install() == first


def test_release_with_a_wrong_checksum_is_refused(
    site: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = site
    _archive(folder / "hello.tar.gz", "folder/hello", PROGRAM)
    (folder / "sums").write_text(f"{'0' * 64}  hello.tar.gz\n")
    _use(_tool(f"{url}/hello.tar.gz", f"{url}/sums"), monkeypatch)

    with pytest.raises(LabError, match="publisher says 0000"):
        install.install()
    assert not (paths.BIN / "hello").exists()
    assert not list((paths.cache() / "tools").iterdir())


def test_release_that_no_checksum_list_names_is_refused(
    site: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = site
    _archive(folder / "hello.tar.gz", "folder/hello", PROGRAM)
    (folder / "sums").write_text(f"{'0' * 64}  other.tar.gz\n{'1' * 64}  third.tar.gz\n")
    _use(_tool(f"{url}/hello.tar.gz", f"{url}/sums"), monkeypatch)

    with pytest.raises(LabError, match=r"no checksum for hello\.tar\.gz"):
        install.install()


def test_unreachable_site_is_asked_once_and_gives_way_to_the_labs_own_plugin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    get = requests.get

    def counting_get(url: str, **options: Any) -> requests.Response:
        asked.append(url)
        return get(url, **options)

    monkeypatch.setattr(requests, "get", counting_get)
    nowhere = "http://127.0.0.1:9"  # the discard port: refused at once
    _use(_tool(f"{nowhere}/hello.tar.gz", f"{nowhere}/sums", lab_plugin="lab.plugins.hello"), monkeypatch)

    assert [found.source for found in install.install()] == ["the lab's own plugin"]
    assert [found.source for found in install.install()] == ["the lab's own plugin"]

    assert len(asked) == 1
    program = paths.PULUMI_HOME / "plugins" / "resource-hello-v1.2.3" / "hello"
    assert "-m lab.plugins.hello" in program.read_text()


def test_tool_on_path_in_the_pinned_version_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "own" / "hello"
    program.parent.mkdir()
    program.write_bytes(PROGRAM)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    _use(_tool("http://127.0.0.1:9/x", "http://127.0.0.1:9/y"), monkeypatch)

    [found] = install.install()

    assert found.source == "on PATH"
    assert (paths.BIN / "hello").resolve() == program


def test_tool_on_path_in_another_version_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "hello"
    program.write_text("#!/bin/sh\necho hello v1.2.30\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert on_path.find(_tool("http://127.0.0.1:9/x", "http://127.0.0.1:9/y")) is None


def test_go_modules_build_a_program_that_knows_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "modules" / "hello"
    module.mkdir(parents=True)
    (module / "go.mod").write_text("module example.test/hello\n\ngo 1.21\n")
    (module / "main.go").write_text(
        'package main\n\nimport "fmt"\n\nvar version = "none"\n\nfunc main() { fmt.Println(version) }\n'
    )
    monkeypatch.setattr(go_modules, "MODULES", tmp_path / "modules")
    monkeypatch.setattr(install, "MODULES", tmp_path / "modules")
    recipe = Module(folder="hello", packages={"hello": "."}, linker=["-X main.version=v1.2.3"])
    nowhere = "http://127.0.0.1:9"
    _use(_tool(f"{nowhere}/a", f"{nowhere}/b", module=recipe), monkeypatch)

    [found] = install.install()

    assert found.source == "built from Go modules"
    assert on_path.says_version(found.binaries["hello"], [], "1.2.3")
    assert not (module / "hello").exists()


def test_failing_build_shows_the_compilers_words_and_leaves_no_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "modules" / "hello"
    module.mkdir(parents=True)
    (module / "go.mod").write_text("module example.test/hello\n\ngo 1.21\n")
    (module / "main.go").write_text("package main\n\nfunc main() { undefinedThing() }\n")
    monkeypatch.setattr(go_modules, "MODULES", tmp_path / "modules")
    monkeypatch.setattr(install, "MODULES", tmp_path / "modules")
    recipe = Module(folder="hello", packages={"hello": "."})
    _use(_tool("http://127.0.0.1:9/a", "http://127.0.0.1:9/b", module=recipe), monkeypatch)

    with pytest.raises(LabError, match="undefinedThing"):
        install.install()
    assert not list((paths.cache() / "tools").iterdir())


def test_cache_entry_is_named_by_all_that_goes_into_it() -> None:
    tool = inventory.load().tools["helm"]
    newer = tool.model_copy(update={"version": "9.9.9"})
    linked = tool.model_copy(
        update={"module": tool.module and tool.module.model_copy(update={"linker": ["-X a=b"]})}
    )

    assert len({install.cache_key(tool), install.cache_key(newer), install.cache_key(linked)}) == 3


def test_unfinished_folder_is_no_installed_tool(tmp_path: Path) -> None:
    found = origin.Origin(
        tool="hello", version="1", source="on PATH", binaries={"hello": tmp_path / "gone"}, seconds=0
    )
    assert origin.read(tmp_path) is None
    origin.write(found, tmp_path)
    assert origin.read(tmp_path) is None
    (tmp_path / "gone").touch()
    assert origin.read(tmp_path) == found


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ("abc  hello.tar.gz\n", "abc"),
        ("ABC *hello.tar.gz\n", "abc"),
        ("abc\n", "abc"),
        ("abc  dist/hello.tar.gz\n", "abc"),
        ("abc  hello.tar.gz.asc\n", None),
        ("", None),
    ],
)
def test_checksum_lists_of_all_publishers_are_read(listing: str, expected: str | None) -> None:
    assert releases.expected_checksum(listing, "hello.tar.gz") == expected


SECOND_NAMES = {
    "openstack:index/getFwGroupV2:getFwGroupV2",
    "openstack:index/getFwPolicyV2:getFwPolicyV2",
    "openstack:index/getFwRuleV2:getFwRuleV2",
    "openstack:index/workflowWorkflowV2:WorkflowWorkflowV2",
}
"""Deprecated second names of functions, which the plugin does not know: the SDK warns of them itself."""

PIP = """#!/bin/sh
bin=$(dirname "$0")
if [ -e "$0.fails" ]; then touch "$bin/go"; rm "$0.fails"; echo "no space" >&2; exit 1; fi
printf '#!/bin/sh\\necho go1.26.6\\n' > "$bin/go"; chmod +x "$bin/go"
"""


def test_a_go_whose_installation_failed_halfway_is_installed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    go = inventory.load().go
    run = subprocess.run
    outcomes = ["venv fails", "pip fails", "works"]

    def fake(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if "venv" not in command:
            return run(command, **options)
        outcome = outcomes.pop(0)
        pip = Path(command[-1]) / "bin" / "pip"
        pip.parent.mkdir(parents=True)
        if outcome == "venv fails":
            return subprocess.CompletedProcess(command, 1, "Error: no ensurepip", "")
        pip.write_text(PIP)
        pip.chmod(0o755)
        if outcome == "pip fails":
            pip.with_name("pip.fails").touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(subprocess, "run", fake)
    with pytest.raises(LabError, match=r"could not be installed: Error: no ensurepip Install Go"):
        go_modules.find_go(go)
    with pytest.raises(LabError, match=r"could not be installed: no space Install Go"):
        go_modules.find_go(go)
    for _ in range(2):
        found = go_modules.find_go(go)
        assert run([found], capture_output=True, text=True, check=True).stdout == "go1.26.6\n"
    assert outcomes == []


def test_every_tool_has_a_way_that_needs_no_release_site() -> None:
    for name, tool in inventory.load().tools.items():
        assert tool.module or tool.lab_plugin, name
        assert tool.release is None or set(tool.release.members) == set(tool.binaries), name
        if tool.module:
            built = {*tool.module.packages, *(copy.binary for copy in tool.module.copies)}
            assert built == set(tool.binaries), name
            pins = (inventory.MODULES / tool.module.folder / "go.sum").read_text()
            assert "h1:" in pins, name


def test_openstack_plugin_speaks_all_tokens_of_the_published_sdk() -> None:
    """The SDK must work unchanged, so each token it registers has to be in the plugin's table."""
    sdk = Path(pulumi_openstack.__file__).parent
    resources: set[str] = set()
    functions: set[str] = set()
    for module in sdk.rglob("*.py"):
        text = module.read_text()
        resources |= set(re.findall(r"__init__\(\s*'(openstack:[^']+)'", text))
        functions |= set(re.findall(r"runtime\.invoke\(\s*'(openstack:[^']+)'", text))
    table = json.loads((inventory.MODULES / "openstack_plugin" / "tokens.json").read_text())

    assert resources == {*table["Resources"].values(), *table["Deprecated"].values()}
    assert functions - SECOND_NAMES == set(table["Functions"].values())
    assert functions >= SECOND_NAMES
