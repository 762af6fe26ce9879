"""Every old name of docs/reference/upgrading.md still works, with a warning that names the new one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

import isthmus
from isthmus.__main__ import main
from isthmus.cli import COMMANDS, OLD_NAMES
from isthmus.cli import isthmus as group
from isthmus.old_keywords import rename_keywords

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "upgrading.md").read_text("utf-8")
MODEL = "photos.safetensors"


def table(title: str) -> list[list[str]]:
    """Cells of the table under a heading, without back-quotes."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows]


def hidden_options() -> set[tuple[str, str]]:
    results = set()
    for entry in COMMANDS:
        command = group.get_command(click.Context(group), entry.name)
        assert command is not None
        for option in command.params:
            if isinstance(option, click.Option) and option.hidden:
                results.add((entry.name, option.opts[0]))
    return results


def test_the_page_lists_every_old_option() -> None:
    listed = {(command, old.split(" ")[0]) for command, old, _ in table("Commands and options")}
    assert listed == hidden_options() | {(old, old) for old in OLD_NAMES}


@pytest.mark.parametrize(("function", "old", "new"), table("Arguments"))
def test_an_old_argument_sets_the_new_one(function: str, old: str, new: str) -> None:
    """The old keyword arrives under its new name: a value that is refused is refused by the new name's check,
    and an argument that does not exist is not among those that are taken."""
    public = getattr(isthmus, function)
    assert new in inspect.signature(public).parameters
    calls: dict[str, Any] = {}

    def record(*_: Any, **options: Any) -> None:
        calls.update(options)

    renamed: Callable[..., Any] = rename_keywords(**{old: new})(record)
    with pytest.warns(DeprecationWarning, match=f"{old}= is now {new}="):
        renamed(**{old: 3})
    assert calls == {new: 3}
    if function != "train":
        with pytest.warns(DeprecationWarning, match=f"{old}="), pytest.raises(Exception):  # noqa: B017
            public(**{old: object()})


@pytest.mark.usefixtures("here")
def test_old_functions_give_what_the_new_ones_do() -> None:
    with pytest.warns(DeprecationWarning, match="evaluate"):
        old = isthmus.evaluate_model(MODEL, "photos/left", train="photos/right")
    new = isthmus.evaluate(MODEL, "photos/left", reference="photos/right")
    assert old.metrics == new.metrics and old.baselines == new.baselines
    isthmus.fit_prior(MODEL, "photos", kind="gaussian")
    with pytest.warns(DeprecationWarning, match="generate"):
        images = isthmus.generate_images(MODEL, 3)
    np.testing.assert_array_equal(images, isthmus.generate(MODEL, 3).pixels)
    assert {row[0] for row in table("Functions")} == {"evaluate_model", "generate_images"}


def test_renamed_folders_are_what_the_page_says() -> None:
    root = Path(isthmus.__file__).parent
    names = re.findall(r"`(\w+)` \((?:was )?`(\w+)`\)", PAGE.partition("## Modules")[2].replace("\n", " "))
    assert len(names) == 6
    assert all((root / new).is_dir() and not (root / old).exists() for new, old in names)


TRAIN = ["train", "photos", "--recipe", "dense", "--code", "2", "--steps", "1", "-o", "new.safetensors"]
PICTURE = "photos/left/1.png"
OLD_COMMANDS = {
    "anomalies --picture": ["anomalies", MODEL, "photos", "--picture", "a.png"],
    "audit --report": ["audit", "photos", "--report", "a.html"],
    "audit --write": ["audit", "photos", "--write", "a.txt"],
    "augment --number": ["augment", MODEL, "photos", "--number", "2", "--no-filtered", "-o", "more"],
    "augment --unfiltered": ["augment", MODEL, "photos", "-n", "2", "--unfiltered", "-o", "more"],
    "classify --few": ["classify", MODEL, "photos", "photos", "--few", "2"],
    "classify --picture": ["classify", MODEL, "photos", "photos", "--picture", "a.png"],
    "cluster --picture": ["cluster", MODEL, "photos", "-k", "2", "--picture", "a.png"],
    "compare --report": [
        *("compare", "photos", "--recipes", "dense", "--code", "2", "--steps", "1", "--report", "a.html"),
    ],
    "compress --jobs": ["compress", PICTURE, "-o", "a.isth", "--jobs", "1"],
    "decompress --jobs": ["decompress", "a.isth", "-o", "b.png", "--jobs", "1"],
    "denoise --thorough": ["denoise", PICTURE, "--sigma", "5", "--thorough", "-o", "a.png"],
    "direct direct": [
        *("direct", MODEL, "--plus", "photos/left", "--minus", "photos/right", "-o", "d.safetensors"),
    ],
    "direction --class": ["direction", MODEL, "--data", "photos", "--class", "left", "-o", "d.safetensors"],
    "direction --from": [
        *("direction", MODEL, "--data", "photos", "--label", "left", "--from", "right"),
        *("-o", "d.safetensors"),
    ],
    "evaluate --report": ["evaluate", MODEL, "photos/left", "--report", "a.html"],
    "evaluate --train": ["evaluate", MODEL, "photos/left", "--train", "photos/right"],
    "explain --data": ["explain", MODEL, PICTURE, "--data", "photos", "--units", "2", "-o", "e.html"],
    "generate --class": ["generate", MODEL, "-n", "2", "--class", "left", "-o", "a.png"],
    "generate --number": ["generate", MODEL, "--number", "2", "-o", "a.png"],
    "inpaint --thorough": ["inpaint", PICTURE, "--mask-colour", "#141414", "--thorough", "-o", "a.png"],
    "prior --no-labels": ["prior", MODEL, "photos", "--kind", "gaussian", "--no-labels"],
    "search --no-index": ["search", MODEL, "photos", "--like", PICTURE, "--no-index"],
    "search --picture": ["search", MODEL, "photos", "--like", PICTURE, "--picture", "a.png"],
    "train --from": ["train", "photos", "--from", MODEL, "--steps", "1", "-o", "new.safetensors"],
    "train --only": [*TRAIN, "--only", "names.txt"],
    "train --turn": [*TRAIN, "--turn"],
    "transform --plain": ["transform", MODEL, PICTURE, "--along", "d.safetensors", "--plain", "-o", "a.png"],
    "tune --objective": [
        *("tune", "photos", "--over", "code=1,2", "--recipe", "dense", "--folds", "2", "--steps", "1"),
        *("--objective", "mse"),
    ],
    "tune --report": [
        *("tune", "photos", "--over", "code=1,2", "--recipe", "dense", "--folds", "2", "--steps", "1"),
        *("--report", "a.html"),
    ],
}


def prepare(name: str) -> None:
    """What a command needs beside the photographs and the model."""
    if name == "decompress --jobs":
        isthmus.compress_files(PICTURE, out="a.isth")
    elif name.startswith("generate"):
        isthmus.fit_prior(MODEL, "photos", kind="gaussian")
    elif name == "transform --plain":
        isthmus.find_direction(MODEL, "photos/left", "photos/right").save("d.safetensors")
    elif name == "train --only":
        names = sorted(path.relative_to("photos").as_posix() for path in Path("photos").rglob("*.png"))
        Path("names.txt").write_text("\n".join(names))


def test_every_old_spelling_is_run_here() -> None:
    assert set(OLD_COMMANDS) == {
        f"{command} {old.split(' ')[0]}" for command, old, _ in table("Commands and options")
    }


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", OLD_COMMANDS)
def test_an_old_spelling_works_and_names_the_new_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(name)
    capsys.readouterr()
    assert main(OLD_COMMANDS[name]) == 0
    assert "the old spelling goes with version 0.3" in capsys.readouterr().err
