"""A model's page shows the images that were scored, and every number the evaluation has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isthmus.api.evaluation import evaluate
from isthmus.api.pages import sections
from isthmus.api.pages.example_images import examples
from isthmus.features.readout import fit_extractor
from isthmus.images.reading import read
from isthmus.images.subsets import sample_evenly
from isthmus.model.autoencoder import Autoencoder
from isthmus.reports.page import Report

from .models import discs, trained


@pytest.fixture(scope="module")
def denoiser() -> Autoencoder:
    return trained(discs(40), "denoising", code="4@4", steps=8)


def test_examples_are_what_was_scored(denoiser: Autoencoder) -> None:
    images = read(discs(20, seed=1))
    result = evaluate(denoiser, images, seed=3)
    worst = result.worst(4)
    shown = examples(denoiser, images, worst, seed=3)
    errors = [np.mean((a - b) ** 2) for a, b in zip(shown.originals, shown.outputs, strict=True)]
    assert errors == pytest.approx(result.scores["mse"][worst], rel=1e-4)
    assert shown.names == tuple(result.names[i] for i in worst)
    assert shown.inputs is not None
    assert np.abs(shown.inputs[0] - shown.originals[0]).mean() > 0.05


def test_the_page_holds_every_metric_and_loads_nothing(
    denoiser: Autoencoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = discs(20, seed=1)
    denoiser.save(tmp_path / "my model.safetensors")
    monkeypatch.chdir(tmp_path)
    result = evaluate("my model.safetensors", images, reference=discs(40), limit=10)
    page = result.page()
    header, rows = result.rows()
    assert header == ["metric", "model", "model, clean input", "PCA", "mean image", "corrupted input"]
    for row in rows:
        assert str(row[0]) in page
    for section in ("Reconstructions", "Numbers", "Worst", "Training", "Code", "Train and test", "Recipe"):
        assert f"<h2>{section}</h2>" in page
    assert "isthmus.load(&#x27;my model.safetensors&#x27;)" in page
    assert "http" not in page.replace("http-equiv", "")


def test_images_of_mixed_sizes_can_be_shown(denoiser: Autoencoder, tmp_path: Path) -> None:

    folder = tmp_path
    for index, size in enumerate([(16, 16), (40, 24), (24, 16)]):
        Image.fromarray(discs(1, size=size, seed=index)[0, ..., 0]).save(folder / f"{index}.png")
    result = evaluate(denoiser, folder)
    page = result.page()
    assert page.count("<img ") >= 3


def test_a_model_without_history_still_has_a_page() -> None:
    model = trained(discs(12), "dense", code="2", steps=1)
    model.summary = {}
    images = discs(4)
    assert "<h2>Training</h2>" not in evaluate(model, images).page()


def test_even_spacing_keeps_both_ends() -> None:
    images = read(discs(11))
    assert sample_evenly(images, 3).names == ("0", "5", "10")
    assert sample_evenly(images, None) is images


def test_the_page_shows_what_is_alike_and_what_is_unusual() -> None:
    pixels = np.concatenate([discs(40, seed=1), 255 - discs(1, seed=2)])
    model = trained(discs(40), "dense", code="4", steps=8)
    images = replace(read(pixels), labels=np.arange(41) % 2, classes=("even", "odd"))
    page = evaluate(model, images).page()
    assert "<h2>Features</h2>" in page
    for part in ("most like them", "without labels", "The most unusual", "5 nearest, % right"):
        assert part in page
    few = images.subset(range(10))
    assert "<h2>Features</h2>" not in evaluate(model, few).page()


def test_an_image_is_not_what_is_most_like_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained(discs(40), "dense", code="4", steps=8)
    images = read(discs(40))
    shown: list[np.ndarray] = []

    def draw_image_rows(rows: list[tuple[str, np.ndarray]]) -> bytes:
        shown.extend(rows[0][1])
        return b""

    monkeypatch.setattr(sections, "draw_image_rows", draw_image_rows)
    monkeypatch.setattr(Report, "picture", lambda *_: None)
    sections.add_alike(
        Report("t"), model, images, images.subset([5]), fit_extractor(model, images), own_rows=[5]
    )
    assert len(shown) == 1 + sections.MAX_SHOWN_IMAGES
    assert all(not np.array_equal(shown[0], other) for other in shown[1:])


def test_a_report_shows_where_codes_lie_but_not_of_a_network_with_skips(denoiser: Autoencoder) -> None:
    images = discs(12)
    model = trained(images, "dense", code="2", steps=1)
    assert "where their codes lie" in evaluate(model, images).page()
    few = images[:2]
    assert "where their codes lie" not in evaluate(model, few).page()
    assert "where their codes lie" not in evaluate(denoiser, images).page()
