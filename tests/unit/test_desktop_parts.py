"""The virtual desktop's parts that are text, files and arithmetic."""

from __future__ import annotations

import os
import string
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from jupyter_image.desktop.virtual_desktop import folder, open_program, programs, registration, secret
from jupyter_image.desktop.virtual_desktop.activity import Inputs, write_down
from jupyter_image.desktop.virtual_desktop.keeper import LONGEST_PAUSE_SECONDS, pause_after
from jupyter_image.desktop.virtual_desktop.settings import Size

LAUNCHERS = sorted((programs.DATA / "share" / "applications").glob("*.desktop"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder as short as a real one."""
    made = tmp_path / "d"
    folder.make(made)
    yield made


def test_input_counts_once_and_only_when_it_is_new(tmp_path: Path) -> None:
    file = tmp_path / "last-input"
    inputs = Inputs(file)
    assert not inputs.are_new()
    write_down(file, 1000.5)
    assert inputs.are_new(SimpleNamespace())
    assert not inputs.are_new()
    write_down(file, 1000.5)
    assert not inputs.are_new()
    write_down(file, 1001.5)
    assert inputs.are_new()


def test_the_first_restart_is_at_once_and_the_later_ones_wait_ever_longer() -> None:
    pauses = [pause_after(failures) for failures in range(20)]
    assert pauses[:2] == [0, 0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


def test_a_registration_starts_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    first, second = registration.server(), registration.server()
    assert first["unix_socket"] != second["unix_socket"], "two JupyterLabs of a user collide"
    assert list(tmp_path.iterdir()) == []
    assert first["launcher_entry"]["title"] == "Virtual Desktop"
    assert Path(first["launcher_entry"]["icon_path"]).read_text().startswith("<svg")
    assert not first["update_last_activity"](None)


def test_braces_in_a_path_reach_the_command_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/{odd}/python")
    assert registration.server()["command"][0].format(port=1) == "/opt/{odd}/python"


def test_a_folder_is_ours_alone(tmp_path: Path) -> None:
    place = tmp_path / "d"
    folder.make(place)
    folder.make(place)
    assert place.stat().st_mode & 0o777 == 0o700
    place.chmod(0o755)
    with pytest.raises(folder.FolderError, match="not a folder of this user's alone"):
        folder.make(place)


def test_a_link_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "d").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(folder.FolderError):
        folder.make(tmp_path / "d")


def test_a_socket_fits_even_where_temporary_files_have_long_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    place = folder.choose({"XDG_RUNTIME_DIR": str(long)})
    for path in (folder.door(place), folder.websocket(place), folder.vnc(place), folder.bus(place)):
        assert len(os.fsencode(path)) <= folder.LONGEST_SOCKET


def test_secrets_are_new_each_time_and_shown_to_nobody() -> None:
    first, second = secret.new(), secret.new()
    assert len({first.password, second.password, first.ticket, second.ticket}) == 4
    assert len(first.password) == 8
    assert set(first.password) <= set(string.ascii_letters + string.digits)
    assert first.password not in repr(first)
    assert first.ticket not in repr(first)


def test_only_the_ticket_is_admitted() -> None:
    keys = secret.new()
    assert keys.admits(keys.ticket)
    assert not keys.admits(None)
    assert not keys.admits("")
    assert not keys.admits(keys.ticket[:-1])
    assert not keys.admits("é" * len(keys.ticket))


def test_a_secret_file_is_never_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("old")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        secret.write(path, b"new")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_x_cookie_has_the_fields_of_the_format() -> None:
    cookie = bytes(range(16))
    content = secret.x_authority(cookie, "12")
    families, position = [], 0
    while position < len(content):
        families.append(struct.unpack_from(">H", content, position)[0])
        position += 2
        fields = []
        for _ in range(4):
            (length,) = struct.unpack_from(">H", content, position)
            fields.append(content[position + 2 : position + 2 + length])
            position += 2 + length
        assert fields[2:] == [b"MIT-MAGIC-COOKIE-1", cookie]
    assert families == [secret.FAMILY_WILD, secret.FAMILY_LOCAL]
    assert fields[1] == b"12"


def test_no_command_has_a_secret_or_a_port(place: Path) -> None:
    x11vnc = programs.x11vnc(place, ":3")
    assert x11vnc[x11vnc.index("-rfbport") + 1] == "0"
    assert x11vnc[x11vnc.index("-rfbportv6") + 1] == "-1"
    assert x11vnc[x11vnc.index("-passwdfile") + 1] == f"read:{place / 'password'}"
    assert "tcp" in programs.xvfb(place, Size(800, 600), 9)
    assert not [part for part in programs.websockify(place) if part.isdigit() or ":" in part]


def test_a_size_is_taught_once() -> None:
    first = programs.size_commands(Size(1000, 700), [Size(800, 600)])
    again = programs.size_commands(Size(1000, 700), [Size(800, 600), Size(1000, 700)])
    assert [command[1] for command in first] == ["--newmode", "--addmode", "--output"]
    assert [command[1] for command in again] == ["--output"]
    assert first[-1] == again[-1]


def test_the_environment_has_the_systems_libraries_and_the_users_path(place: Path) -> None:
    base = {
        "PATH": "/opt/conda/bin",
        "GSETTINGS_SCHEMA_DIR": "/opt/conda/share",
        "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent",
        "DISPLAY": ":0",
        "OWN": "kept",
    }
    made = programs.environment(place, ":3", base)
    assert made["OWN"] == "kept"
    assert made["DISPLAY"] == ":3"
    assert made["PATH"].startswith("/opt/conda/bin:")
    assert "GSETTINGS_SCHEMA_DIR" not in made
    assert made["DBUS_SESSION_BUS_ADDRESS"] == f"unix:path={place / 'runtime' / 'bus'}"
    assert made["LANG"] == "C.UTF-8"


def test_xfces_settings_are_beside_those_of_an_older_xfce() -> None:
    text = programs.xfconf_service(
        Path("/home/user one/.config"), "[D-BUS Service]\nName=n\nExec=/usr/lib/xfconfd\n"
    )
    assert text == (
        "[D-BUS Service]\nName=n\n"
        'Exec=/usr/bin/env "XDG_CONFIG_HOME=/home/user one/.config/virtual-desktop" /usr/lib/xfconfd\n'
    )


def test_the_home_may_be_named_in_each_way_of_the_standard() -> None:
    assert programs.home_config({"HOME": "/h"}) == Path("/h/.config")
    assert programs.home_config({"HOME": "/h", "XDG_CONFIG_HOME": "/c"}) == Path("/c")


@pytest.mark.parametrize("launcher", LAUNCHERS, ids=lambda path: path.stem)
def test_a_launcher_opens_by_our_command_and_has_an_icon(launcher: Path) -> None:
    lines = dict(line.split("=", 1) for line in launcher.read_text().splitlines() if "=" in line)
    assert lines["Exec"].startswith("virtual-desktop-open ")
    assert "TryExec" not in lines, "an absent program would have no launcher, instead of a dialog"
    if lines["Icon"].startswith("virtual-desktop"):
        icons = programs.DATA / "share" / "icons" / "hicolor" / "scalable" / "apps"
        assert (icons / f"{lines['Icon']}.svg").exists()


def test_the_launchers_are_those_that_were_promised() -> None:
    assert [path.stem.removeprefix("virtual-desktop-") for path in LAUNCHERS] == [
        "files",
        "hawkeye",
        "idv",
        "terminal",
    ]
    text = "".join(path.read_text() for path in LAUNCHERS)
    assert "/usr/local/lrose/bin/HawkEye" in text
    assert "/usr/local/bin/idv" in text


def test_a_dialog_names_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, **_: f"/usr/bin/{name}")
    command = open_program.dialog("HawkEye", "/usr/local/lrose/bin/HawkEye")
    assert command[0] == "/usr/bin/zenity"
    assert "there is no /usr/local/lrose/bin/HawkEye" in " ".join(command)


def test_where_no_dialog_can_be_shown_the_package_for_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, **_: None if name == "zenity" else f"/usr/bin/{name}")
    assert "zenity" in programs.missing()
