"""A hint is a whole command line that can be copied: every argument and option of the one that failed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import isthmus
from isthmus.__main__ import main

MODEL, PHOTO = "photos.safetensors", "photos/left/1.png"
# A line with `M` for the model and `I` for the images that are given in each other's place, and the images.
EXCHANGED = [
    ("embed M I -o v.npz --layer code", "photos"),
    ("anomalies M I --normal photos/left -o found.csv -o found.png", "photos"),
    ("cluster M I --clusters 2", "photos"),
    ("search M I --like photos/left/1.png -n 3", "photos"),
    ("classify M I photos/left --few-labels 0", "photos"),
    ("evaluate M I --limit 5 -o report.html", "photos"),
    ("reconstruct M I -o seen --compare", "photos"),
    ("explain M I --units 2", PHOTO),
    ("augment M I -n 4 -o more/", "photos"),
    ("map M I -o map.html", "photos"),
    ("frames M I -o moving.gif --between 2", "photos/left"),
    ("prior M I --kind mixture", "photos"),
    ("generate M -n 4 --like I -o new.png", PHOTO),
    ("interpolate M I photos/left/3.png -o between.gif", PHOTO),
    ("direction M --plus I --minus photos/right -o way.safetensors", "photos/left"),
    ("doctor M I", "photos"),
    ("push M I", "shared"),
    ("denoise I -o clean.png -m M", PHOTO),
    ("inpaint I --find dead-pixels -o whole.png -m M", PHOTO),
    ("compress I -o photo.isth --model M", PHOTO),
    ("decompress I -o photo.png -m M", "photo.isth"),
    ("audit I --model=M", "photos"),
    ("train I --recipe dense --start-from M", "photos"),
]


def _fill(line: str, model: str, images: str) -> list[str]:
    values = {"M": model, "I": images, "--model=M": f"--model={model}"}
    return [values.get(word, word) for word in line.split()]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("line", "images"), EXCHANGED, ids=lambda value: value.split()[0])
def test_exchanged_arguments_give_the_whole_line(
    line: str, images: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_fill(line, images, MODEL)) == 2
    message, hint = capsys.readouterr().err.strip().splitlines()
    assert message == f"isthmus: error: {MODEL} is a model file, but images are expected in its place"
    assert shlex.split(hint) == ["hint:", "isthmus", *_fill(line, MODEL, images)]


@pytest.mark.usefixtures("here")
def test_python_gives_the_whole_call() -> None:
    with pytest.raises(isthmus.UsageError) as caught:
        isthmus.search("photos", MODEL, PHOTO, count=3)
    assert str(caught.value.hint) == f"isthmus.search('{MODEL}', 'photos', '{PHOTO}', count=3)"
    with pytest.raises(isthmus.UsageError) as caught:
        isthmus.denoise_files([MODEL], out="clean.png", model=PHOTO, sigma=5)
    assert str(caught.value.hint) == (
        f"isthmus.denoise_files(inputs=['{PHOTO}'], out='clean.png', model='{MODEL}', sigma=5)"
    )


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("embed M empty/ -o v.npz --layer code", "embed M FOLDER-OF-IMAGES -o v.npz --layer code"),
        ("anomalies M photos --normal=empty", "anomalies M photos --normal=FOLDER-OF-IMAGES"),
        ("train empty --recipe dense", "train FOLDER-OF-IMAGES --recipe dense"),
        ("denoise empty -o clean/", "denoise FOLDER-OF-IMAGES -o clean/"),
        ("frames M empty -o f.gif --predict 2", "frames M FOLDER-OF-IMAGES -o f.gif --predict 2"),
        ("decompress empty -o out/", "decompress FOLDER-OF-ISTH-FILES -o out/"),
        ("verify empty", "verify FOLDER-OF-ISTH-FILES"),
    ],
)
def test_an_empty_folder_gives_the_line_of_the_use(
    line: str, hint: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "empty").mkdir()
    assert main([MODEL if word == "M" else word for word in line.split()]) == 1
    assert f"hint: isthmus {hint.replace(' M ', f' {MODEL} ')}\n" in capsys.readouterr().err


def test_an_empty_folder_gives_the_call_of_the_use(here: Path) -> None:
    (here / "empty").mkdir()
    with pytest.raises(isthmus.DataError) as caught:
        isthmus.anomalies(MODEL, "photos", normal="empty/", seed=3)
    expected = f"isthmus.anomalies('{MODEL}', 'photos', normal=FOLDER_OF_IMAGES, seed=3)"
    assert str(caught.value.hint) == expected
    assert caught.value.__notes__ == [f"hint: {expected}"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("train photos --lambda 0.1 -q", "train photos --set bottleneck.weight=0.1 -q"),
        ("train photos --lr=1e-3", "train photos --set optimiser.rate=1e-3"),
        (
            "compare photos --recipes conv --batch",
            "compare photos --recipes conv --set optimiser.batch=VALUE",
        ),
        ("evaluate photos.safetensors photos --lambda 1", "evaluate --help"),
    ],
)
def test_a_setting_given_as_an_option(line: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    assert f"hint: isthmus {hint}\n" in capsys.readouterr().err


def test_info_on_a_folder_of_compressed_images(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    isthmus.compress_files(here / "photos/left", out=here / "small")
    assert main(["info", "small"]) == 2
    message, hint = capsys.readouterr().err.strip().splitlines()
    assert message.endswith("small is a folder of compressed images, but one model file is expected")
    assert main(shlex.split(hint.removeprefix("hint: isthmus "))) == 0


def test_samples_on_another_scale_give_the_option(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    np.save(here / "t.npy", np.random.default_rng(0).random((4, 12, 12), dtype=np.float32) * 4000)
    for words in (
        ["embed", MODEL, "t.npy", "-o", "v.npz"],
        ["audit", "t.npy"],
        ["denoise", "t.npy", "-o", "c/"],
    ):
        assert main(words) == 1
        assert "hint: repeat the command with --range 0,4095\n" in capsys.readouterr().err
        assert main([*words, "--range", "0,4095", "-q"]) == 0


@pytest.mark.usefixtures("here")
def test_force_without_an_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", MODEL, "photos", "--force"]) == 2
    assert "--force has no effect without -o" in capsys.readouterr().err
