"""The quick look for near copies on both sides of a test."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

import isthmus
from isthmus.evaluation.audit.near_overlap import find_near_copies
from isthmus.images.store import ImageSet


def crops(count: int, seed: int) -> np.ndarray:
    """Pieces `(N, 64, 64, 3)` of a photograph, at random places."""
    random, photo = np.random.default_rng(seed), astronaut()
    places = random.integers(0, 448, (count, 2))
    return np.stack([photo[y : y + 64, x : x + 64] for y, x in places])


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    packed = io.BytesIO()
    Image.fromarray(image).save(packed, "JPEG", quality=quality)
    return np.asarray(Image.open(packed))


def as_set(pixels: np.ndarray) -> ImageSet:
    return isthmus.read(np.ascontiguousarray(pixels))


@pytest.mark.parametrize("kind", ["exact", "jpeg", "mirrored", "brighter", "dim16"])
def test_near_copies_are_found_and_other_pieces_are_not(kind: str) -> None:
    reference_images, test = crops(30, 0), crops(30, 1)
    changed = {
        "exact": reference_images[:3],
        "jpeg": np.stack([jpeg(image, 75) for image in reference_images[:3]]),
        "mirrored": reference_images[:3, :, ::-1],
        "brighter": (reference_images[:3].astype(float) * 0.9 + 10).astype(np.uint8),
        "dim16": reference_images[:3],
    }[kind]
    both = np.concatenate([test, changed])
    given, other = as_set(both), as_set(reference_images)
    if kind == "dim16":
        given, other = as_set(both.astype(np.uint16) * 4), as_set(reference_images.astype(np.uint16) * 4)
    assert set(find_near_copies(given, other)) >= {30, 31, 32}
    assert len(find_near_copies(as_set(test), as_set(reference_images))) <= 1


def test_evaluate_and_classify_warn(caplog: pytest.LogCaptureFixture) -> None:
    reference_images, labels = crops(30, 0), np.arange(30) % 2
    model = isthmus.train(reference_images, recipe="dense", code="2", steps=2, size=16)
    test = np.stack([jpeg(image, 80) for image in reference_images[:4]])
    result = isthmus.evaluate(model, test, reference=reference_images)
    assert "evaluation.near-copies" in [note["id"] for note in result.note_details]
    assert "4 images of the 4 compared" in caplog.text
    caplog.clear()
    mixed = isthmus.evaluate(
        model, np.concatenate([test, reference_images[5:6]]), reference=reference_images
    )  # and an exact copy
    ids = {note["id"] for note in mixed.note_details}
    assert {"evaluation.near-copies", "evaluation.training-images"} <= ids
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any("1 of the 5 images" in text for text in warnings)
    learned, measured = isthmus.read(reference_images, labels=labels), isthmus.read(test, labels=labels[:4])
    scored = isthmus.classify(model, learned, measured, few_labels=0, baselines=False)
    assert "evaluation.near-copies" in [note["id"] for note in scored.note_details]
