"""The lab's passwords and the files that hold secrets."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.openstack import launch, passwords
from lab.private_files import write_private


def test_passwords_are_random_long_and_all_different() -> None:
    made = [*dataclasses.astuple(passwords.make()), *dataclasses.astuple(passwords.make())]
    assert len(set(made)) == len(made)
    assert all(len(password) == 32 for password in made)


def test_passwords_are_made_once(tmp_path: Path) -> None:
    file = tmp_path / "new" / "passwords.json"
    first = passwords.load_or_make(file)
    assert passwords.load_or_make(file) == first
    assert file.stat().st_mode & 0o777 == 0o600


def test_passwords_never_show(tmp_path: Path) -> None:
    made = passwords.make()
    shown = f"{made} {made!r}"
    assert not any(password in shown for password in dataclasses.astuple(made))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"admin": "x"}', '{"wrong": "x"}'])
def test_a_damaged_file_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    file = tmp_path / "passwords.json"
    file.write_text(text)
    with pytest.raises(LabError, match="lab reset"):
        passwords.load_or_make(file)
    assert file.read_text() == text


def test_private_files_replace_one_another_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    write_private(file, "old")
    # What a killed write left behind is no obstacle.
    (tmp_path / ".secret.new").write_text("half")
    write_private(file, "new")
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_keystones_keys_are_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "fernet"
    launch.make_keys(folder)
    first = {path.name: path.read_text() for path in folder.iterdir()}
    launch.make_keys(folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == first
    assert set(first) == {"0", "1"}
    assert first["0"] != first["1"]
    assert all(len(key) == 44 for key in first.values())
    assert folder.stat().st_mode & 0o777 == 0o700
