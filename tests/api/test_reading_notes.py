"""What was chosen and left out in reading images is said once by every use, and is in its result."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import isthmus

MODEL, PHOTOS, CLEAN = "photos.safetensors", "photos", "clean"
TINY: dict[str, Any] = {"recipe": "dense", "code": "2", "settings": ["backbone.width=8"], "steps": 1}
Use = Callable[[], Any]


@pytest.fixture
def mixed(here: Path) -> Path:
    """`photos/` with a transparent, a broken and a several-page image; `clean/` without them."""
    import shutil

    shutil.copytree(PHOTOS, CLEAN)
    gray = Image.open("photos/left/1.png").convert("LA")
    gray.putalpha(100)
    gray.save("photos/left/alpha.png")
    pages = [Image.new("L", (12, 12), level) for level in (9, 99)]
    pages[0].save("photos/right/pages.tif", save_all=True, append_images=pages[1:])
    Path("photos/left/broken.png").write_bytes(b"no image")
    return here


USES: dict[str, Use] = {
    "embed": lambda: isthmus.embed(MODEL, PHOTOS),
    "embed, reference": lambda: isthmus.embed(MODEL, CLEAN, reference=PHOTOS),
    "anomalies, normal": lambda: isthmus.anomalies(MODEL, CLEAN, normal=PHOTOS),
    "classify": lambda: isthmus.classify(MODEL, PHOTOS, PHOTOS, few_labels=0),
    "compare": lambda: isthmus.compare(PHOTOS, ["dense"], code="2", steps=1),
    "tune": lambda: isthmus.tune(PHOTOS, ["code=2"], recipe="dense", steps=1, folds=2),
    "diagnose": lambda: isthmus.diagnose(MODEL, PHOTOS),
    "explain, reference": lambda: isthmus.explain(MODEL, f"{CLEAN}/left/1.png", reference=PHOTOS, units=1),
    "generate, reference": lambda: isthmus.generate(MODEL, 2, prior="gaussian", reference=PHOTOS),
    "interpolate, reference": lambda: isthmus.interpolate(
        MODEL, [f"{CLEAN}/left/1.png"] * 2, path="prior", prior="gaussian", reference=PHOTOS
    ),
    "train": lambda: isthmus.train(PHOTOS, **TINY).training_report,
    "train, val": lambda: isthmus.train(CLEAN, val=PHOTOS, **TINY).training_report,
}


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize("name", USES)
def test_a_use_says_once_what_it_left_out(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "isthmus")
    result = USES[name]()
    notes = " ".join(result.notes)
    assert "transparent" in notes and "pages" in notes
    assert [Path(item.name).name for item in result.skipped] == ["broken.png"]
    for word in ("skipped left/broken.png", "transparent", "several pages"):
        assert sum(word in message for message in caplog.messages) == 1, word


def _encode(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, **options)
    return stream.getvalue()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("kind", ["path", "bytes", "open file"])
def test_a_use_of_one_image_says_it_of_every_kind(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    gray = Image.open("photos/left/1.png").convert("LA")
    gray.putalpha(100)
    pages = [Image.new("L", (64, 64), level) for level in (9, 99)]
    contents = {
        "transparent": _encode(gray, format="PNG"),
        "pages": _encode(pages[0], format="TIFF", save_all=True, append_images=pages[1:]),
    }
    caplog.set_level(logging.INFO, "isthmus")
    for word, content in contents.items():
        Path("one").write_bytes(content)
        image: Any = {"path": Path("one"), "bytes": content, "open file": io.BytesIO(content)}[kind]
        result = isthmus.interpolate(MODEL, [image, image])
        assert any(word in note for note in result.notes)
    mask = np.zeros((64, 64), bool)
    mask[3, 3] = True
    uses: tuple[Callable[[Any], object], ...] = (
        lambda image: isthmus.denoise(image, sigma=9),
        lambda image: isthmus.inpaint(image, mask),
        isthmus.compress,
    )
    for use in uses:
        caplog.clear()
        use({"path": Path("one"), "bytes": content, "open file": io.BytesIO(content)}[kind])
        assert any("only the first" in line or "the first" in line for line in caplog.messages)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("colour", "id"), [(False, "reading.gray-stored-as-rgb"), (True, "reading.luminance")]
)
def test_one_image_for_a_gray_model_is_gray_or_has_its_luminance_taken(
    colour: bool, id: str, caplog: pytest.LogCaptureFixture
) -> None:
    image = np.repeat(np.random.default_rng(0).random((12, 12, 1), np.float32), 3, axis=2)
    image[..., 0] *= 0.5 if colour else 1
    caplog.set_level(logging.INFO, "isthmus")
    result = isthmus.generate(MODEL, 1, like=image, strength=0.0)
    assert [note["id"] for note in result.to_dict()["note_details"] if note["id"].startswith("reading")] == [
        id
    ]
    gray = isthmus.generate(MODEL, 1, like=image[..., :1], strength=0.0)
    assert np.array_equal(result.pixels, gray.pixels) is not colour
