"""An evaluation says what is true of the model: against oracles, and about what it could not do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from isthmus.api.evaluation import evaluate
from isthmus.api.evaluation_results import Evaluation
from isthmus.errors import DataError
from isthmus.evaluation.training_data import find_training_images
from isthmus.images.reading import read
from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder
from isthmus.training.config import TrainConfig
from isthmus.training.session import train_model

from .models import black_and_white, discs, trained


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("data")
    np.savez(folder / "train.npz", images=discs(80))
    np.savez(folder / "test.npz", images=discs(24, seed=1))
    return str(folder / "train.npz"), str(folder / "test.npz")


@pytest.fixture(scope="module")
def dense(data: tuple[str, str]) -> Autoencoder:
    return trained(data[0], "dense", code="4")


@pytest.fixture(scope="module")
def evaluation(dense: Autoencoder, data: tuple[str, str]) -> Evaluation:
    return evaluate(dense, data[1])


def test_metrics_are_those_of_an_independent_implementation(
    dense: Autoencoder, data: tuple[str, str], evaluation: Evaluation
) -> None:
    images = np.asarray(read(data[1]).pixels).astype(np.float64) / 255
    reconstruction = dense.reconstruct(images.astype(np.float32)).astype(np.float64)
    psnr = [peak_signal_noise_ratio(a, b, data_range=1) for a, b in zip(images, reconstruction, strict=True)]
    ssim = [
        structural_similarity(
            a[..., 0],
            b[..., 0],
            data_range=1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )[1][5:-5, 5:-5].mean()
        for a, b in zip(images, reconstruction, strict=True)
    ]
    assert evaluation.metrics["psnr"] == pytest.approx(np.mean(psnr), abs=1e-3)
    assert evaluation.metrics["ssim"] == pytest.approx(np.mean(ssim), abs=1e-4)
    assert evaluation.metrics["mse"] == pytest.approx(np.mean((images - reconstruction) ** 2), rel=1e-4)
    assert evaluation.scores["psnr"] == pytest.approx(psnr, abs=1e-3)


def test_baselines_are_found_where_the_model_was_trained(evaluation: Evaluation) -> None:
    assert set(evaluation.baselines) == {"pca", "mean_image"}
    assert set(evaluation.baselines["pca"]) == {"mse", "mae", "psnr", "ssim", "bce", "bce_excess"}
    assert evaluation.baselines["pca"]["mse"] < evaluation.baselines["mean_image"]["mse"]
    assert evaluation.gap is not None
    assert evaluation.gap.images == 72
    assert evaluation.gap.difference["mse"] == pytest.approx(
        evaluation.metrics["mse"] - evaluation.gap.train["mse"]
    )
    assert evaluation.clean is None
    assert evaluation.notes == ()


def test_the_document_is_plain_json(evaluation: Evaluation) -> None:
    document = evaluation.to_dict()
    assert document["schema"] == "isthmus.evaluate/1"
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    worst = [item["mse"] for item in document["worst"]]
    assert worst == sorted(worst, reverse=True)
    assert worst[0] == evaluation.scores["mse"].max()


def test_an_evaluation_can_be_repeated(
    dense: Autoencoder, data: tuple[str, str], evaluation: Evaluation
) -> None:
    assert evaluate(dense, data[1]).metrics == evaluation.metrics


def test_the_bernoulli_entropy_of_gray_is_the_floor(evaluation: Evaluation) -> None:
    assert 0 < evaluation.metrics["bce_excess"] < evaluation.metrics["bce"]


def test_changed_training_data_give_a_note_and_no_baseline(dense: Autoencoder, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", images=discs(40, seed=5))
    dense.summary["data"], former = (
        {**dense.summary["data"], "source": str(tmp_path / "other.npz")},
        dense.summary["data"],
    )
    try:
        evaluation = evaluate(dense, discs(6, seed=1))
        given = evaluate(dense, discs(6, seed=1), reference=discs(40))
    finally:
        dense.summary["data"] = former
    assert evaluation.baselines == {}
    assert evaluation.gap is None
    assert any("no longer what this model was trained on" in note for note in evaluation.notes)
    assert set(given.baselines) == {"pca", "mean_image"}


def test_training_images_in_the_test_set_are_counted(dense: Autoencoder) -> None:
    mixed = np.concatenate([discs(80)[:10], discs(10, seed=9)])
    evaluation = evaluate(dense, mixed, reference=discs(80))
    assert any(
        note.startswith("10 of the 20 images are among the training images") for note in evaluation.notes
    )


def test_resized_training_images_are_still_recognised_by_their_source(tmp_path: Path) -> None:
    np.savez(tmp_path / "large.npz", images=discs(12, size=(80, 70)))
    model = train_model(
        str(tmp_path / "large.npz"),
        TrainConfig(size=(8, 8), steps=1, precision="float32"),
        recipe="dense",
        code="2",
        settings=["backbone.width=8"],
    )
    evaluation = evaluate(model, str(tmp_path / "large.npz"))
    assert any("how it treats new images" in note for note in evaluation.notes)


def test_a_limit_spreads_over_the_set(dense: Autoencoder) -> None:
    evaluation = evaluate(dense, discs(20, seed=1), limit=3)
    assert evaluation.names == ("0", "10", "19")
    assert (evaluation.data.images, evaluation.data.of) == (3, 20)


def test_validation_images_of_their_own_leave_the_whole_set_for_training(data: tuple[str, str]) -> None:
    model = train_model(
        data[0],
        TrainConfig(steps=2, precision="float32"),
        recipe="dense",
        code="4",
        val=data[1],
        settings=["backbone.width=8"],
    )
    evaluation = evaluate(model, data[1], limit=4)
    assert evaluation.gap is not None
    assert evaluation.gap.images == 80


def test_a_corruption_is_measured_with_and_without() -> None:
    model = trained(discs(60), "denoising", code="4@4", steps=30)
    evaluation = evaluate(model, discs(16, seed=1), reference=discs(60))
    assert evaluation.clean is not None
    assert set(evaluation.clean) == set(evaluation.metrics)
    assert set(evaluation.baselines) == {"pca", "mean_image", "corrupted_input"}
    sigma = 50 / 255
    # Clipping only takes noise away.
    assert 0.2 * sigma**2 < evaluation.baselines["corrupted_input"]["mse"] < sigma**2
    other = evaluate(model, discs(16, seed=1), seed=1)
    assert other.metrics["mse"] != evaluation.metrics["mse"]
    assert other.clean == evaluation.clean


def test_equal_image_in_and_out_has_no_error_but_finite_psnr() -> None:
    model = trained(discs(20), "conv", code="4@4", steps=1)
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.zero_()
        model.offset.fill_(-30.0)
    evaluation = evaluate(model, np.zeros((3, 16, 16), np.uint8))
    assert evaluation.metrics["mse"] == pytest.approx(0, abs=1e-12)
    assert evaluation.metrics["psnr"] == 100
    assert evaluation.metrics["bce"] == pytest.approx(0, abs=1e-6)


def test_mixed_sizes_are_measured_at_their_own_size(tmp_path: Path) -> None:
    for index, size in enumerate([(16, 16), (24, 16), (24, 16), (17, 31)]):
        Image.fromarray(discs(1, size=size, seed=index)[0, ..., 0]).save(tmp_path / f"{index}.png")
    for code in ("4", "4@4"):
        model = trained(discs(30), "conv", code=code, steps=2)
        evaluation = evaluate(model, tmp_path, reference=discs(30))
        assert evaluation.data.sizes_differ
        assert len(evaluation.scores["mse"]) == 4
        third = read(tmp_path).image(2)
        again = model.reconstruct(third.astype(np.float32) / 255)
        assert evaluation.scores["mse"][2] == pytest.approx(np.mean((again - third / 255) ** 2), rel=1e-3)
        assert set(evaluation.baselines) == {"pca", "mean_image"}


def test_multi_scale_similarity_needs_large_images() -> None:
    model = trained(discs(12), "conv", code="2@8", steps=1)
    assert "ms_ssim" in evaluate(model, discs(2, size=(176, 176))).metrics
    assert "ms_ssim" not in evaluate(model, discs(2, size=(160, 176))).metrics


def test_channels_must_fit() -> None:
    gray = trained(discs(12), "dense", code="2", steps=1)
    with pytest.raises(DataError, match="RGB images and the model reads gray"):
        evaluate(gray, discs(4, channels=3) * np.array([1, 1, 0], np.uint8))
    stored_as_rgb = evaluate(gray, discs(4, channels=3))
    assert any("gray, stored as RGB" in note for note in stored_as_rgb.notes)
    colour = trained(discs(12, channels=3), "dense", code="2", steps=1)
    assert any("gray is repeated" in note for note in evaluate(colour, discs(4)).notes)


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        (("bottleneck=top-k", "bottleneck.k=2"), {"nonzero", "dead_units"}),
        (("bottleneck=entropy",), {"rate_nats", "rate_bpp"}),
        (("bottleneck=gaussian",), {"kl", "active_units"}),
        (
            ("bottleneck=gaussian", "objective.image=gaussian-nll"),
            {"kl", "active_units", "image_nats", "elbo"},
        ),
    ],
)
def test_what_a_bottleneck_adds(settings: tuple[str, ...], keys: set[str]) -> None:
    model = trained(discs(20), "conv", *settings, code="6", steps=3)
    metrics = evaluate(model, discs(8, seed=1)).metrics
    assert set(metrics) - {"mse", "mae", "psnr", "ssim", "bce", "bce_excess"} == keys
    if "nonzero" in keys:
        assert metrics["nonzero"] == 2
        assert 0 <= metrics["dead_units"] <= 4


class TestLikelihood:
    """Of a model with one number of code and one learned pixel, where the integral can be taken on a grid."""

    @pytest.fixture(scope="class")
    @staticmethod
    def model() -> Autoencoder:
        return trained(
            black_and_white(60), "dense", "bottleneck=gaussian", "objective.image=bce", code="1", steps=60
        )

    @staticmethod
    def exact(model: Autoencoder, images: Any) -> float:
        """−ln ∫ p(x|z) p(z) dz by the trapezoidal rule, mean over images."""
        z = torch.linspace(-9, 9, 3001, dtype=torch.float32)[:, None]
        with torch.no_grad():
            logits = model.decode_raw(z, model.size, []).double().flatten(1)
        x = torch.from_numpy(images.reshape(len(images), -1) / 255.0)
        log_images = x @ logits.T - torch.nn.functional.softplus(logits).sum(1)
        log_prior = -0.5 * (z[:, 0].double() ** 2 + np.log(2 * np.pi))
        return float(-(log_images + log_prior + np.log(18 / 3000)).logsumexp(1).mean())

    def test_the_bounds_enclose_the_exact_value(self, model: Autoencoder) -> None:
        images = black_and_white(12, seed=3)
        exact = self.exact(model, images)
        evaluation = evaluate(model, images, nll_samples=200)
        assert evaluation.data.black_and_white
        assert not any("cross-entropies" in note for note in evaluation.notes)
        assert evaluation.metrics["nll_nats"] == pytest.approx(exact, rel=0.02)
        assert -evaluation.metrics["elbo"] > exact - 0.5
        assert evaluation.metrics["nll_nats"] <= -evaluation.metrics["elbo"] + 0.5
        assert evaluation.metrics["bits_per_dim"] == pytest.approx(
            evaluation.metrics["nll_nats"] / (256 * np.log(2))
        )

    def test_without_samples_there_is_only_the_elbo(self, model: Autoencoder) -> None:
        metrics = evaluate(model, black_and_white(4)).metrics
        assert "elbo" in metrics
        assert not {"nll_nats", "bits_per_dim"} & set(metrics)

    def test_resized_images_have_no_nats(self, model: Autoencoder) -> None:
        evaluation = evaluate(model, discs(4, size=(20, 20)))
        assert not {"elbo", "image_nats"} & set(evaluation.metrics)
        assert any("resized" in note for note in evaluation.notes)

    def test_gray_images_are_said_to_have_no_probability_under_bce(self, model: Autoencoder) -> None:
        assert any("cross-entropies" in note for note in evaluate(model, discs(4)).notes)


def test_evaluating_leaves_the_model_as_it_was(dense: Autoencoder) -> None:
    before = {name: tensor.clone() for name, tensor in dense.state_dict().items()}
    dense.train()
    try:
        evaluate(dense, discs(4))
        assert dense.training
    finally:
        dense.eval()
    assert all(torch.equal(before[name], tensor) for name, tensor in dense.state_dict().items())


def test_every_corruption_of_the_product_can_be_evaluated(dense: Autoencoder) -> None:
    clean = dense.recipe
    try:
        for point in axes.AXES["corruption"][1:]:
            if point is axes.Pairs:  # measured on pairs
                continue
            has_condition = point in (axes.Mask, axes.GaussianNoise, axes.Recorrupted)
            settings: dict[str, Any] = {"condition": False} if has_condition else {}
            if point is axes.Recorrupted:
                settings["sigma"] = 20.0  # in a training it is settled before the first step
            corruption: Any = point(**settings)
            dense.recipe = replace(clean, corruption=corruption)
            evaluation = evaluate(dense, discs(3, seed=1))
            assert evaluation.baselines["corrupted_input"]["mse"] > 0, point.kind
    finally:
        dense.recipe = clean


@pytest.mark.parametrize("source", ["//host/share/photos", r"\\host\share\photos"])
def test_a_network_path_in_a_model_file_is_not_opened(
    dense: Autoencoder, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("the path was opened")

    monkeypatch.setitem(dense.summary, "data", {**dense.summary["data"], "source": source})
    monkeypatch.setattr("os.path.exists", lambda _: True)
    monkeypatch.setattr("isthmus.evaluation.training_data.read", opened)
    assert find_training_images(dense)[0] is None
