"""What the image is built from: refused unless its digest or checksum is known, pinned by a command."""

from __future__ import annotations

import hashlib
import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jupyter_image import pin, sources
from jupyter_image.root_folder import recipe, stand_ins
from jupyter_image.sources import SourceError

CONTENT = b"a release\n"
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()
DIGEST = f"sha256:{'a' * 64}"
TABLES = """\
# A comment that stays.
[base]
image = "{host}/jupyter/minimal-notebook"
tag = "2026-10-05" # so does this one

[lrose]
release = "new"
address = "{address}/{{release}}.deb"

# By release.
[lrose.sha256]

[idv]
release = "IDV"
address = "{address}/idv"

[idv.sha256]
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A sources.toml, and the loopback server of its files."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "new.deb").write_bytes(CONTENT)
    (served / "idv").write_bytes(CONTENT)
    with stand_ins.served(served) as address:
        file = tmp_path / "sources.toml"
        file.write_text(TABLES.format(address=address, host=address.removeprefix("http://")))
        yield file, address


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as the image's build runs it: alone beside its file, without this project."""
    shutil.copy(sources.__file__, folder / "sources.py")
    command = [sys.executable, "-I", str(folder / "sources.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_the_projects_own_file_can_be_read() -> None:
    known = sources.read()
    assert set(known.downloads) == {"lrose", "idv"}
    assert known.downloads["lrose"].url("lrose-core-20250811") == (
        "https://github.com/NCAR/lrose-core/releases/download/lrose-core-20250811/"
        "lrose-core-20250811.ubuntu_24.04.amd64.deb"
    )
    assert all(source.url(source.release).startswith("https://") for source in known.downloads.values())


@pytest.mark.xfail(
    raises=SourceError,
    strict=True,
    reason="nobody has pinned base, LROSE and IDV yet: no image can be built (docs/image.md)",
)
def test_everything_that_the_image_is_built_of_is_pinned() -> None:
    """Strict, so that who pins the last of them takes the mark away."""
    sources.build_arguments(sources.read())


def test_the_dockerfiles_default_base_is_the_pinned_one() -> None:
    base = sources.read().base
    assert recipe.stages()[0]["BASE_IMAGE"] == f"{base.image}:{base.tag}"


def test_a_release_without_a_checksum_is_not_fetched(site: tuple[Path, str], tmp_path: Path) -> None:
    answer = run(tmp_path, "fetch", "lrose", "--release", "", "--into", str(tmp_path / "lrose.deb"))
    assert answer.returncode == 1
    assert "no sha256 for lrose new" in answer.stderr
    assert "python -m jupyter_image.pin lrose --release new" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "lrose.deb").exists()


def test_a_pinned_release_is_fetched(site: tuple[Path, str], tmp_path: Path) -> None:
    file, _ = site
    before = file.read_text()
    assert pin.main(["lrose"], file) == 0
    assert file.read_text() == before.replace("[lrose.sha256]\n", f'[lrose.sha256]\nnew = "{CHECKSUM}"\n')
    answer = run(tmp_path, "fetch", "lrose", "--release", "", "--into", str(tmp_path / "lrose.deb"))
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "lrose.deb").read_bytes() == CONTENT


def test_another_release_is_pinned_beside_it(site: tuple[Path, str], tmp_path: Path) -> None:
    file, _ = site
    (tmp_path / "served" / "old-1.deb").write_bytes(b"older")
    assert pin.main(["lrose"], file) == 0
    assert pin.main(["lrose", "--release", "old-1"], file) == 0
    known = sources.read(file).downloads["lrose"]
    assert known.sha256 == {"new": CHECKSUM, "old-1": hashlib.sha256(b"older").hexdigest()}
    assert known.release == "new"


def test_a_file_that_changed_is_refused(site: tuple[Path, str], tmp_path: Path) -> None:
    file, address = site
    assert pin.main(["idv"], file) == 0
    (tmp_path / "served" / "idv").write_bytes(b"something else")
    answer = run(tmp_path, "fetch", "idv", "--into", str(tmp_path / "idv.tar.bz2"))
    assert answer.returncode == 1
    assert f"{address}/idv has SHA-256 {hashlib.sha256(b'something else').hexdigest()}" in answer.stderr
    assert CHECKSUM in answer.stderr
    assert not (tmp_path / "idv.tar.bz2").exists()


def test_a_file_that_is_not_there_is_told_in_words(
    site: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    file, address = site
    before = file.read_text()
    assert pin.main(["lrose", "--release", "never"], file) == 1
    assert f"{address}/never.deb could not be fetched" in capsys.readouterr().err
    assert file.read_text() == before


def test_a_file_cut_off_is_not_taken(tmp_path: Path) -> None:
    class CutOff(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"half")

        def log_message(self, *_: object) -> None:
            pass

    with answering(CutOff) as address, pytest.raises(SourceError, match="ended after 4 of 100 bytes"):
        sources.download(address, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_a_name_that_is_none_is_told_in_words(site: tuple[Path, str], tmp_path: Path) -> None:
    answer = run(tmp_path, "fetch", "hawkeye", "--into", "x")
    assert (answer.returncode, "it has lrose, idv" in answer.stderr) == (1, True)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('tag = "2026-10-05"', 'tag = "2026-10-05"\ndigest = "sha256:12"'),
        ("[lrose.sha256]", '[lrose.sha256]\nnew = "12"'),
    ],
)
def test_a_checksum_that_is_none_is_refused(site: tuple[Path, str], line: str, wrong: str) -> None:
    file, _ = site
    file.write_text(file.read_text().replace(line, wrong))
    with pytest.raises(SourceError, match="64 hexadecimal digits"):
        sources.read(file)


@pytest.mark.parametrize("reference", ["quay.io/a/b:2026-10-05", "quay.io/a/b", "quay.io/a/b@sha256:12", ""])
def test_a_base_that_can_change_is_refused(reference: str, tmp_path: Path) -> None:
    answer = run(tmp_path, "require-digest", reference)
    assert (answer.returncode, "has no digest" in answer.stderr) == (1, True)


def test_a_base_with_a_digest_is_accepted(tmp_path: Path) -> None:
    assert run(tmp_path, "require-digest", f"quay.io/a/b:2026-10-05@{DIGEST}").returncode == 0


def test_build_arguments_need_everything_pinned(site: tuple[Path, str]) -> None:
    file, _ = site
    for name, missing in (("lrose", "no sha256 for lrose"), ("idv", "no sha256 for idv")):
        with pytest.raises(SourceError, match=missing):
            sources.build_arguments(sources.read(file))
        assert pin.main([name], file) == 0
    with pytest.raises(SourceError, match=r"no digest for .*`python -m jupyter_image.pin base`"):
        sources.build_arguments(sources.read(file))
    pin.write_digest(file, DIGEST)
    known = sources.read(file)
    assert sources.build_arguments(known) == (
        f"--build-arg BASE_IMAGE={known.base.image}:2026-10-05@{DIGEST} --build-arg LROSE_RELEASE=new"
    )


MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json"}).encode()


class Registry(http.server.BaseHTTPRequestHandler):
    """Asks for a token, as public registries do, and gives an index of images to who has it."""

    def do_GET(self) -> None:
        if self.path.startswith("/token?"):
            right = (
                "service=here" in self.path
                and "scope=repository%3Ajupyter%2Fminimal-notebook%3Apull" in self.path
            )
            self.answer(200 if right else 400, json.dumps({"token": "anybodys"}).encode())
        elif self.path != "/v2/jupyter/minimal-notebook/manifests/2026-10-05":
            self.answer(404, b"")
        elif self.headers.get("Authorization") == "Bearer anybodys":
            self.answer(
                200 if "application/vnd.oci.image.index.v1+json" in self.headers["Accept"] else 406, MANIFEST
            )
        else:
            self.answer(401, b"")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            host = self.headers["Host"]
            scope = "repository:jupyter/minimal-notebook:pull"
            self.send_header(
                "WWW-Authenticate", f'Bearer realm="http://{host}/token",service="here",scope="{scope}"'
            )
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_bases_digest_comes_from_its_registry() -> None:
    with answering(Registry) as address:
        host = address.removeprefix("http://")
        base = sources.Base(image=f"{host}/jupyter/minimal-notebook", tag="2026-10-05", digest=None)
        assert pin.registry_digest(base, "http") == f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
        gone = sources.Base(image=base.image, tag="1999-01-01", digest=None)
        with pytest.raises(SourceError, match="Is 1999-01-01 a tag of"):
            pin.registry_digest(gone, "http")
