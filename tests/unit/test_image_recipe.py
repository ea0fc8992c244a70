"""The Dockerfile as data, and the keys by which its results are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_image.root_folder import layers, recipe
from jupyter_image.root_folder.recipe import Bind, RecipeError


def test_stages_and_their_instructions(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("# why\nARG A=1\nFROM ${A} AS first\nRUN one && \\\n    two\nFROM ${A}\nUSER 1000\n")
    arguments, stages = recipe.stages(file)
    assert arguments == {"A": "1"}
    assert [(stage.name, stage.base) for stage in stages] == [("first", "${A}"), ("", "${A}")]
    assert stages[0].instructions[0].value.split() == ["one", "&&", "two"]
    assert [(each.word, each.value) for each in stages[1].instructions] == [("USER", "1000")]


def test_the_mounts_of_a_command() -> None:
    value = "--mount=type=bind,source=apt,target=/a --mount=type=bind,from=first,source=/tmp,target=/b run /a"
    binds, command = recipe.run(value)
    assert binds == [
        Bind(source="apt", target="/a", stage=None),
        Bind(source="/tmp", target="/b", stage="first"),  # noqa: S108 - a path of the image
    ]
    assert command == "run /a"


@pytest.mark.parametrize(
    "value",
    [
        "--mount=type=cache,target=/a run",
        "--mount=type=bind,source=a,target=/a,rw run",
        "--mount=type=bind,target=/a run",
        "--network=none run",
    ],
)
def test_what_is_not_understood_is_refused(value: str) -> None:
    with pytest.raises(RecipeError):
        recipe.run(value)


def test_variables_are_replaced() -> None:
    assert recipe.pairs('A="x y" B=${A}:$C:${NONE}', {"A": "a", "C": "c"}) == {"A": "x y", "B": "a:c:"}


def test_the_key_of_a_content_follows_names_texts_and_what_may_be_run(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "file"
    file.parent.mkdir()
    file.write_text("text")
    keys = [layers.content_key(file.parent)]
    file.chmod(0o755)
    keys.append(layers.content_key(file.parent))
    file.write_text("other")
    keys.append(layers.content_key(file.parent))
    file.rename(file.with_name("renamed"))
    keys.append(layers.content_key(file.parent))
    assert len(set(keys)) == 4
    (file.parent / "__pycache__").mkdir()
    (file.parent / "__pycache__" / "file").write_text("of this machine")
    assert layers.content_key(file.parent) == keys[-1]


def test_a_layer_is_made_once_and_never_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_CACHE", str(tmp_path))

    def half(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        layers.layer("name", "key", half)
    assert list((tmp_path / "layers").iterdir()) == []
    made = layers.layer("name", "key", lambda folder: (folder / "whole").touch())
    assert [path.name for path in made.iterdir()] == ["whole"]
    assert layers.layer("name", "key", half) == made
