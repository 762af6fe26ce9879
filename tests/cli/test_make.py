"""`prior`, `generate`, `interpolate`, `direction`, `transform`, `augment`, `map`, `frames`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.__main__ import main

Capture = pytest.CaptureFixture[str]
Document = Callable[..., dict[str, Any]]
MODEL = "photos.safetensors"


def test_a_prior_is_kept_and_new_images_of_a_class_are_drawn(here: Path, document: Document) -> None:
    before = (here / MODEL).stat().st_size
    result = document("prior", MODEL, "photos", "--kind", "flow", "--steps", "3", "--width", "16")
    assert (result["kind"], result["classes"], result["images"]) == ("flow", ["left", "right"], 10)
    assert (here / MODEL).stat().st_size > before
    assert document("info", MODEL)["attachments"]["prior/flow"]["steps"] == 3
    made = document("generate", MODEL, "-n", "5", "-o", "new", "--label", "left", "--seed", "3")
    assert (made["prior"], made["class"], len(made["files"])) == ("flow", "left", 5)
    assert np.asarray(Image.open(made["files"][0])).shape == (12, 12)
    document("generate", MODEL, "-n", "5", "-o", "same.npz", "--class", "left", "--seed", "3")
    first = np.load(here / "same.npz")["images"][0, ..., 0]
    assert np.array_equal(first, np.asarray(Image.open(made["files"][0])))


def test_without_a_prior_one_is_fitted_to_the_training_images_and_not_kept(
    here: Path, capsys: Capture, document: Document
) -> None:
    assert main(["generate", MODEL, "-n", "4", "-o", "new.png"]) == 0
    assert "a mixture prior is fitted to 9 images of photos for this call only" in capsys.readouterr().err
    assert not [name for name in document("info", MODEL)["attachments"] if name.startswith("prior")]
    (here / "photos").rename(here / "elsewhere")
    assert main(["generate", MODEL, "-o", "again.png"]) == 1
    error = capsys.readouterr().err
    assert "has no prior over its codes yet" in error
    assert "hint: repeat the command with --reference DATA" in error
    assert main(["generate", MODEL, "-o", "again.png", "--reference", "elsewhere"]) == 0


def test_variations_of_an_image(here: Path, document: Document) -> None:
    document("prior", MODEL, "photos", "--kind", "gaussian")
    like = "photos/left/1.png"
    result = document("generate", MODEL, "-n", "3", "--like", like, "--strength", "0", "-o", "v.npz")
    made = np.load(here / "v.npz")["images"][0, ..., 0].astype(int)
    reconstruction = isthmus.load(MODEL).reconstruct(np.asarray(Image.open(like)))
    assert np.abs(made - reconstruction).max() <= 2
    assert result["like"] == like


def test_any_image_can_be_varied_and_what_contradicts_itself_is_refused(
    here: Path, document: Document, capsys: Capture
) -> None:
    document("prior", MODEL, "photos", "--kind", "gaussian")
    random = np.random.default_rng(0)
    for mode, depth in (("RGB", 3), ("RGBA", 4)):
        Image.fromarray(random.integers(0, 255, (9, 14, depth), np.uint8), mode).save(here / f"{mode}.png")
        made = document("generate", MODEL, "-n", "2", "--like", f"{mode}.png", "-o", mode)
        assert made["size"] == [9, 14]
    wrong = {
        "either size or like": ["--like", "RGB.png", "--size", "12", "-o", "x"],
        "temperature=nan": ["--temperature", "nan", "-o", "x"],
        "cannot write x.npy": ["-o", "x.npy"],
    }
    for text, words in wrong.items():
        assert main(["generate", MODEL, *words]) in (1, 2)
        assert text in capsys.readouterr().err
    assert not list(here.glob("x*"))


def test_a_path_is_a_strip_or_an_animation(here: Path, document: Document) -> None:
    ends = ["photos/left/1.png", "photos/right/0.png"]
    document("interpolate", MODEL, *ends, "--frames", "5", "-o", "strip.png", "--scale", "1")
    assert np.asarray(Image.open(here / "strip.png")).shape == (12, 5 * 14 - 2)
    result = document("interpolate", MODEL, *ends, "photos/left/3.png", "--frames", "5", "-o", "path.webp")
    with Image.open(here / "path.webp") as opened:
        assert getattr(opened, "n_frames", 1) > 1
    assert result["frames"] == 9


def test_a_direction_is_learned_and_followed(here: Path, document: Document, capsys: Capture) -> None:
    result = document("direction", MODEL, "--plus", "photos/left", "--minus", "photos/right", "-o", "d")
    assert result["images"] == [5, 5]
    classes = document("direct", MODEL, "--data", "photos", "--class", "left", "-o", "e")
    assert classes["auc"] == result["auc"]
    steps = ["--by", "-1,0,1,2", "--scale", "1", "-o", "t.png"]
    document("transform", MODEL, "photos/right/0.png", "--along", "d", *steps)
    strip = np.asarray(Image.open(here / "t.png"))
    assert strip.shape == (12, 4 * 14 - 2)
    assert np.abs(strip[:, 14:26].astype(int) - np.asarray(Image.open("photos/right/0.png"))).max() <= 1
    assert main(["direction", MODEL, "--plus", "photos", "-o", "f"]) == 2
    assert "either two groups" in capsys.readouterr().err
    both = ["--plus", "photos/left", "--minus", "photos/right", "--class", "left"]
    assert main(["direction", MODEL, *both, "-o", "f"]) == 2
    assert "either two groups" in capsys.readouterr().err
    assert main(["transform", MODEL, "photos/right/0.png", "--along", "d", "--by", "nan", "-o", "x.png"]) == 2
    assert "'nan'" in capsys.readouterr().err
    (here / "photos" / "left" / "broken.png").write_bytes(b"nothing")
    again = ["--plus", "photos/left", "--minus", "photos/right"]
    result = document("direction", MODEL, *again, "-o", "g", code=3)
    assert [item["name"] for item in result["skipped"]] == ["broken.png"]
    assert main(["transform", MODEL, "photos/right/0.png", "--along", MODEL, "-o", "x.png"]) == 1
    assert "is not a direction" in capsys.readouterr().err


def test_augmented_images_are_a_labelled_folder(here: Path, document: Document, capsys: Capture) -> None:
    methods = ["--methods", "mixup,distortions", "--no-filtered"]
    result = document("augment", MODEL, "photos", "-n", "6", *methods, "-o", "more")
    assert result["classes"] == {"left": 3, "right": 3}
    assert isthmus.read(here / "more").classes == ("left", "right")
    assert main(["augment", MODEL, "photos", "-o", "x"]) == 2
    assert "either a count or balance" in capsys.readouterr().err
    assert main(["augment", MODEL, "photos/left", "-n", "2", "-o", "x"]) == 1
    assert "no labels" in capsys.readouterr().err
    assert main(["augment", MODEL, "photos", "-n", "2", "-o", "x.png"]) == 1
    assert "cannot store labels" in capsys.readouterr().err


def test_a_map_is_one_page(here: Path, document: Document) -> None:
    result = document("map", MODEL, "photos", "-o", "map.html")
    assert result["images"] == 10
    assert "<canvas" in (here / "map.html").read_text("utf-8")


def test_a_map_of_some_says_of_how_many(here: Path, capsys: Capture) -> None:
    out = str(here / "some.html")
    assert main(["map", MODEL, "photos", "--limit", "4", "--method", "pca", "-o", out]) == 0
    assert "4 of 10 images" in capsys.readouterr().out


def test_frames_are_filled_slowed_and_predicted(here: Path, document: Document, capsys: Capture) -> None:
    pictures = [np.asarray(Image.open(f"photos/left/{n}.png")) for n in (1, 3, 5, 7, 9)]
    (here / "s").mkdir()
    for index in range(10):
        Image.fromarray(pictures[index % 5]).save(here / "s" / f"{index}.png")
    assert document("frames", MODEL, "s", "--fill", "1,3-4", "-o", "f")["frames"] == 10
    assert np.array_equal(np.asarray(Image.open(here / "f" / "00000.png")), pictures[0])
    assert document("frames", MODEL, "s", "--between", "2", "-o", "slow.gif")["frames"] == 28
    assert document("frames", MODEL, "s", "--learn", "--steps", "3")["what"] == "learned"
    assert document("frames", MODEL, "s", "--predict", "2", "-o", "p.npz")["learned"] is True
    assert main(["frames", MODEL, "s"]) == 2
    assert "-o OUT is needed" in capsys.readouterr().err


def test_an_animation_keeps_its_frames_its_size_and_its_pace(here: Path, document: Document) -> None:
    given = np.stack([np.full((9, 14), 25 * k, np.uint8) for k in range(8)])
    first, *rest = (Image.fromarray(frame) for frame in given)
    first.save(here / "clip.gif", save_all=True, append_images=rest, duration=120, loop=0)
    for out in ("whole.gif", "whole.webp"):
        document("frames", MODEL, "clip.gif", "--fill", "3", "-o", out)
        with Image.open(here / out) as opened:
            assert (opened.size, getattr(opened, "n_frames", 1)) == ((14, 9), 8)
            frames = []
            for index in range(8):
                opened.seek(index)
                opened.load()
                assert opened.info["duration"] == 120
                frames.append(np.asarray(opened.convert("L")))
        assert np.array_equal(np.delete(np.stack(frames), 3, 0), np.delete(given, 3, 0))


def test_one_sequence_at_a_time_and_a_broken_frame_is_named(
    here: Path, document: Document, capsys: Capture
) -> None:
    assert main(["frames", MODEL, "photos", "--fill", "1", "-o", "f"]) == 2
    error = capsys.readouterr().err
    assert "holds 2 sequences" in error
    assert f"hint: give one of them, such as {Path('photos', 'left')}" in error
    (here / "photos" / "left" / "4.png").write_bytes(b"nothing")
    result = document("frames", MODEL, "photos/left", "--between", "1", "-o", "f", code=3)
    assert [item["name"] for item in result["skipped"]] == ["4.png"]
    assert main(["frames", MODEL, "photos/left", "--fill", "3-1", "-o", "g"]) == 2
    assert "write 4 or 2-5,9" in capsys.readouterr().err


def test_generation_is_measured_by_evaluate(here: Path, document: Document) -> None:
    np.savez(here / "test.npz", images=np.random.default_rng(0).integers(0, 255, (12, 12, 12), np.uint8))
    words = ["evaluate", MODEL, "test.npz", "--reference", "photos", "--generation", "-o", "r.html"]
    result = document(*words)["generation"]
    assert result["rows"][0]["name"] == "real training images"
    assert result["rows"][-1]["name"] == "samples, mixture prior"
    page = (here / "r.html").read_text("utf-8")
    assert 0 < page.find("<h2>New images</h2>") < page.find("<h2>Recipe</h2>")
    assert document("evaluate", MODEL, "photos")["generation"] is None
