"""The script that runs as a server starts: run by the real bash, with the real nbgitpuller and git."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.hub_values.start_commands import (
    ANSWER_SECONDS,
    Command,
    Tutorials,
    pull,
    share_link,
    start_script,
    within,
)

TOOLS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


class Home:
    """A user's home, and a server that starts there."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "home"
        self.path.mkdir()
        self._log = folder / "log"

    def start(self, *commands: Command, path: str = TOOLS) -> tuple[int, str]:
        """Runs a start's commands; returns the status and the log."""
        self._log.write_text("")
        done = subprocess.run(
            ["bash", "-c", start_script(commands, log=str(self._log))],
            env={"HOME": str(self.path), "PATH": path, "GIT_CONFIG_GLOBAL": "/dev/null"},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.stdout, done.stderr) == ("", "")
        return done.returncode, self._log.read_text()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    """A repository of tutorials with two commits."""
    folder = tmp_path / "lessons.git"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    for text in ("first", "second"):
        publish(folder, "lesson.ipynb", text)
    return folder


def publish(repository: Path, file: str, text: str) -> None:
    (repository / file).write_text(text)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", text)


def tutorials(repository: Path, depth: int = 0) -> Command:
    made = Tutorials(repository=repository.as_uri(), branch="main", folder="lessons", depth=depth)
    return pull(made)


def test_commands_run_in_order_in_the_home_with_a_line_each(home: Home) -> None:
    status, log = home.start(
        Command(name="first", run="pwd > order"), Command(name="second", run="echo two >> order")
    )
    assert status == 0
    assert (home.path / "order").read_text() == f"{home.path}\ntwo\n"
    said = [line.partition(" start-commands ")[2] for line in log.splitlines()]
    assert said == ["first: begins", "first: done", "second: begins", "second: done"]


def test_a_failure_is_logged_and_the_rest_goes_on(home: Home) -> None:
    status, log = home.start(
        Command(name="broken", run="echo some words >&2; exit 3"), Command(name="next", run="touch reached")
    )
    assert status == 0
    assert "some words" in log
    assert "broken: failed with status 3" in log
    assert (home.path / "reached").exists()


def test_what_must_succeed_refuses_the_server(home: Home) -> None:
    status, log = home.start(
        Command(name="licence", run="false", must_succeed=True), Command(name="next", run="touch reached")
    )
    assert status == 1
    assert "licence: must succeed, so this server is refused" in log
    assert not (home.path / "reached").exists()


@pytest.mark.parametrize("run", ["exit 0 # (", "if true; then", "exit 5", "kill -9 $$", "exec nothing-there"])
def test_no_text_of_a_command_ends_the_others(home: Home, run: str) -> None:
    status, _ = home.start(Command(name="odd", run=run), Command(name="next", run="touch reached"))
    assert status == 0
    assert (home.path / "reached").exists()


@pytest.mark.parametrize(
    "text", ['it\'s "quoted"', "$HOME `date` ${brace} {username}", "two\nlines\n", "back\\slash", "* ~ !"]
)
def test_texts_reach_bash_unchanged(home: Home, text: str) -> None:
    quoted = text.replace("'", "'\\''")
    status, _ = home.start(Command(name="write", run=f"printf %s '{quoted}' > written"))
    assert status == 0
    assert (home.path / "written").read_text() == text


def test_a_command_that_hangs_is_stopped(home: Home) -> None:
    began = time.monotonic()
    status, log = home.start(
        Command(name="slow", run="sleep 50", seconds=1), Command(name="next", run="touch reached")
    )
    assert (status, time.monotonic() - began < 20) == (0, True)
    assert "slow: stopped after 1 seconds" in log
    assert (home.path / "reached").exists()


def test_a_command_that_asks_gets_no_answer(home: Home) -> None:
    status, log = home.start(Command(name="asks", run="read -r answer"))
    assert status == 0
    assert "asks: failed with status 1" in log


def test_what_a_command_leaves_running_holds_nothing_up(home: Home) -> None:
    began = time.monotonic()
    # `timeout` ends with its command, and what that left behind ends by itself.
    status, _ = home.start(Command(name="leaves", run="sleep 15 &", seconds=30))
    assert (status, time.monotonic() - began < 10) == (0, True)


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    text = start_script([Command(name="one", run="touch reached")], log=str(tmp_path / "no" / "log"))
    done = subprocess.run(
        ["bash", "-c", text], env={"HOME": str(tmp_path), "PATH": TOOLS}, check=False, capture_output=True
    )
    assert done.returncode == 0
    assert (tmp_path / "reached").exists()


def test_without_a_home_there_is_nothing_to_do(tmp_path: Path) -> None:
    text = start_script([Command(name="one", run="false", must_succeed=True)], log=str(tmp_path / "log"))
    done = subprocess.run(
        ["bash", "-c", text],
        env={"HOME": str(tmp_path / "absent"), "PATH": TOOLS},
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0


def test_all_together_keep_within_their_time() -> None:
    commands = [Command(name=str(number), run="true", seconds=60) for number in range(10)]
    assert sum(command.seconds for command in within(commands, 300)) <= 300
    assert within(commands[:3], 300) == commands[:3]
    assert all(command.seconds >= 1 for command in within(commands, 3))


def test_the_share_is_linked(home: Home, tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    (drive / "raw").mkdir(parents=True)
    (drive / "raw" / "data.nc").write_text("data")
    for _ in range(2):
        status, log = home.start(share_link(str(drive)))
        assert (status, "share-link: done" in log) == (0, True)
    assert (home.path / "share" / "raw" / "data.nc").read_text() == "data"
    assert sorted(entry.name for entry in drive.iterdir()) == ["raw"], "no link within the drive"


@pytest.mark.parametrize("kind", ["file", "folder", "link", "broken link"])
def test_a_share_of_the_users_own_is_left_alone(home: Home, tmp_path: Path, kind: str) -> None:
    own = home.path / "share"
    if kind == "file":
        own.write_text("mine")
    elif kind == "folder":
        own.mkdir()
    else:
        target = home.path / "elsewhere"
        if kind == "link":
            target.mkdir()
        own.symlink_to(target)
    before = own.lstat()
    status, log = home.start(share_link(str(tmp_path)))
    assert status == 0
    assert "is the user's own and is left alone" in log
    assert own.lstat() == before
    if kind == "link":
        assert list((home.path / "elsewhere").iterdir()) == []


def test_tutorials_are_copied_then_kept_up_to_date(home: Home, lessons: Path) -> None:
    assert "tutorials: done" in home.start(tutorials(lessons))[1]
    copy = home.path / "lessons"
    assert (copy / "lesson.ipynb").read_text() == "second"
    assert git(copy, "rev-list", "--count", "HEAD") == "2", "depth 0 is all commits"
    publish(lessons, "lesson.ipynb", "third")
    assert "tutorials: done" in home.start(tutorials(lessons))[1]
    assert (copy / "lesson.ipynb").read_text() == "third"


def test_only_the_newest_commits_are_fetched_if_asked(home: Home, lessons: Path) -> None:
    home.start(tutorials(lessons, depth=1))
    assert git(home.path / "lessons", "rev-list", "--count", "HEAD") == "1"


def test_what_the_user_changed_is_kept(home: Home, lessons: Path) -> None:
    home.start(tutorials(lessons))
    copy = home.path / "lessons"
    (copy / "lesson.ipynb").write_text("my answer")
    (copy / "notes.txt").write_text("mine")
    publish(lessons, "lesson.ipynb", "third")
    publish(lessons, "notes.txt", "theirs")
    assert "tutorials: done" in home.start(tutorials(lessons))[1]
    assert (copy / "lesson.ipynb").read_text() == "my answer"
    assert (copy / "notes.txt").read_text() == "theirs"
    (moved,) = copy.glob("notes__*.txt")
    assert moved.read_text() == "mine"


def test_without_a_network_the_copy_stays_and_the_login_goes_on(home: Home, lessons: Path) -> None:
    home.start(tutorials(lessons))
    lessons.rename(lessons.with_name("unreachable"))
    status, log = home.start(tutorials(lessons), Command(name="next", run="touch reached"))
    assert status == 0
    assert "tutorials: failed" in log
    assert (home.path / "lessons" / "lesson.ipynb").read_text() == "second"
    assert (home.path / "reached").exists()


def test_a_host_that_cannot_be_reached_is_a_failure_like_others(home: Home) -> None:
    nowhere = Tutorials(repository="https://127.0.0.1:9/lessons", branch="main", folder="lessons", depth=0)
    status, log = home.start(pull(nowhere))
    assert (status, "tutorials: failed" in log) == (0, True)
    assert not (home.path / "lessons").exists()


@pytest.fixture(params=["accepts and says nothing", "drops all packets"])
def black_hole(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port of loopback where nobody ever gets an answer."""
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        if request.param == "drops all packets":
            # With its queue full, the kernel answers no further connection.
            for _ in range(3):
                waiting = opened.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.parametrize("has_a_copy", [False, True])
def test_a_network_that_swallows_all_delays_the_login_by_seconds(
    home: Home, lessons: Path, black_hole: int, has_a_copy: bool
) -> None:
    address = f"https://127.0.0.1:{black_hole}/lessons"
    if has_a_copy:
        home.start(tutorials(lessons))
        git(home.path / "lessons", "remote", "set-url", "origin", address)
    swallowed = Tutorials(repository=address, branch="main", folder="lessons", depth=0)
    began = time.monotonic()
    status, log = home.start(pull(swallowed, answer_s=1), Command(name="next", run="touch reached"))
    assert (status, time.monotonic() - began < 8) == (0, True)
    assert f"{address} does not answer within 1 seconds" in log
    assert "tutorials: failed" in log
    assert (home.path / "reached").exists()
    assert (home.path / "lessons").exists() == has_a_copy
    assert ANSWER_SECONDS <= 10


def test_an_image_without_nbgitpuller_starts_too(home: Home, lessons: Path) -> None:
    status, log = home.start(tutorials(lessons), path="/usr/bin:/bin")
    assert (status, "tutorials: failed with status 127" in log) == (0, True)


@pytest.mark.parametrize("kind", ["file", "folder", "another repository", "broken link"])
def test_what_is_there_under_the_folders_name_is_left_alone(home: Home, lessons: Path, kind: str) -> None:
    own = home.path / "lessons"
    if kind == "file":
        own.write_text("mine")
    elif kind == "broken link":
        own.symlink_to("nowhere")
    else:
        own.mkdir()
        (own / "mine.txt").write_text("mine")
    if kind == "another repository":
        git(own, "init", "--quiet", "--initial-branch=main")
        git(own, "remote", "add", "origin", "https://git.example.org/mine")
        publish(own, "mine.txt", "changed")
        (own / "mine.txt").write_text("not committed")
    status, log = home.start(tutorials(lessons))
    assert status == 0
    assert f"is no copy of {lessons.as_uri()} and is left alone" in log
    if kind == "another repository":
        assert (own / "mine.txt").read_text() == "not committed"
        assert git(own, "rev-list", "--count", "HEAD") == "1"
    elif kind == "folder":
        assert [entry.name for entry in own.iterdir()] == ["mine.txt"]


def test_an_address_with_and_without_its_ending_is_one(home: Home, lessons: Path) -> None:
    home.start(tutorials(lessons))
    git(home.path / "lessons", "remote", "set-url", "origin", lessons.as_uri().removesuffix(".git") + "/")
    assert "is left alone" not in home.start(tutorials(lessons))[1]


def cut_off(folder: Path, origin: str | None) -> Path:
    """What a first copy leaves that was killed while it fetched; returns the part of a pack in it."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    if origin is not None:
        git(folder, "remote", "add", "origin", origin)
    part = folder / ".git" / "objects" / "pack" / "tmp_pack_1"
    part.write_text("half of it")
    return part


@pytest.mark.parametrize("knows_its_origin", [True, False])
def test_first_copies_that_were_cut_off_fill_no_home(
    home: Home, lessons: Path, knows_its_origin: bool
) -> None:
    copy = home.path / "lessons"
    cut_off(copy, lessons.as_uri() if knows_its_origin else None)
    assert "tutorials: done" in home.start(tutorials(lessons))[1]
    assert (copy / "lesson.ipynb").read_text() == "second"
    assert [entry.name for entry in home.path.iterdir() if "lessons" in entry.name] == ["lessons"]


def test_what_the_user_put_into_a_cut_off_copy_is_kept(home: Home, lessons: Path) -> None:
    copy = home.path / "lessons"
    cut_off(copy, lessons.as_uri())
    (copy / "mine.txt").write_text("mine")
    assert "tutorials: done" in home.start(tutorials(lessons))[1]
    assert (copy / "lesson.ipynb").read_text() == "second"
    (aside,) = home.path.glob("lessons.unfinished.*")
    assert [entry.name for entry in aside.iterdir()] == ["mine.txt"]


def test_a_cut_off_copy_stays_until_the_network_answers(home: Home, lessons: Path) -> None:
    part = cut_off(home.path / "lessons", lessons.as_uri())
    lessons.rename(lessons.with_name("unreachable"))
    assert "tutorials: failed" in home.start(tutorials(lessons))[1]
    assert part.exists()


@pytest.mark.parametrize("packed", [False, True])
def test_a_copy_with_commits_is_never_taken_for_cut_off(home: Home, lessons: Path, packed: bool) -> None:
    home.start(tutorials(lessons))
    copy = home.path / "lessons"
    if packed:
        git(copy, "pack-refs", "--all")
        (copy / ".git" / "logs" / "HEAD").unlink()
    # A branch without a commit: git finds no HEAD, and the user's commits are on another branch.
    git(copy, "checkout", "--quiet", "--orphan", "another")
    assert "tutorials: failed" in home.start(tutorials(lessons))[1]
    assert git(copy, "rev-list", "--count", "main") == "2"
    assert not list(home.path.glob("lessons.unfinished.*"))


def test_a_commit_without_a_branch_is_one_too(home: Home, lessons: Path) -> None:
    home.start(tutorials(lessons))
    copy = home.path / "lessons"
    publish(copy, "mine.txt", "mine")
    mine = git(copy, "rev-parse", "HEAD")
    git(copy, "checkout", "--quiet", "--detach")
    git(copy, "branch", "--quiet", "--delete", "--force", "main")
    shutil.rmtree(copy / ".git" / "logs")
    home.start(tutorials(lessons))
    assert git(copy, "cat-file", "-t", mine) == "commit"


def test_a_repository_that_the_user_has_just_begun_is_left_alone(home: Home, lessons: Path) -> None:
    own = home.path / "lessons"
    cut_off(own, None)
    (own / "mine.txt").write_text("mine")
    assert f"is no copy of {lessons.as_uri()} and is left alone" in home.start(tutorials(lessons))[1]
    assert (own / ".git").is_dir()
    assert (own / "mine.txt").read_text() == "mine"
