"""The scikit-learn face: its own conformance checks, and what users of Pipeline and GridSearchCV rely on."""

from __future__ import annotations

import pickle
from typing import Any, Literal

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from isthmus import ImageAutoencoder

QUICK: dict[str, Any] = {"recipe": "dense", "code": 4, "settings": {"backbone.width": "8"}, "steps": 12}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    data, labels = load_digits(return_X_y=True)
    return data[:240], labels[:240]


@pytest.fixture(scope="module")
def fitted(digits: tuple[np.ndarray, np.ndarray]) -> ImageAutoencoder:
    return ImageAutoencoder(**{**QUICK, "steps": 200}).fit(digits[0])


def test_scikit_learns_own_checks_pass() -> None:
    result = check_estimator(
        ImageAutoencoder(**{**QUICK, "steps": 2}, validation=0), on_skip=None, on_fail=None
    )
    assert [(item["check_name"], item["exception"]) for item in result if item["status"] == "failed"] == []
    assert sum(item["status"] == "passed" for item in result) > 30


def test_flat_images_come_back_in_their_own_range(
    fitted: ImageAutoencoder, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    codes = fitted.transform(digits[0])
    assert codes.shape == (240, 4) and codes.dtype == np.float32
    again = fitted.inverse_transform(codes)
    assert again.shape == digits[0].shape and again.dtype == digits[0].dtype
    assert again.min() >= 0 and 2 < again.max() <= 16
    # It has learned something: closer than the mean image's squared error.
    scale = 16.0**2
    error = np.square(again - digits[0]).mean() / scale
    assert fitted.score(digits[0]) == pytest.approx(-error, rel=1e-3)
    assert error < np.square(digits[0]).mean() / scale


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((8, 8), np.uint8), ((8, 6, 3), np.uint8), ((8, 8, 1), np.float32), ((7, 8), np.uint16)],
)
def test_shaped_images_come_back_as_the_kind_they_were(shape: tuple[int, ...], kind: Any) -> None:
    random = np.random.default_rng(0)
    top = 1 if kind == np.float32 else np.iinfo(kind).max
    images = (random.random((20, *shape)) * top).astype(kind)
    model = ImageAutoencoder(**{**QUICK, "steps": 2}).fit(images)
    again = model.inverse_transform(model.transform(images))
    assert again.shape == images.shape and again.dtype == kind


def test_a_grid_code_goes_there_and_back(digits: tuple[np.ndarray, np.ndarray]) -> None:
    model = ImageAutoencoder("conv", code="2@4", settings={"backbone.width": "4"}, steps=2).fit(digits[0])
    codes = model.transform(digits[0][:5])
    assert codes.shape == (5, 2 * 2 * 2)
    assert model.inverse_transform(codes).shape == (5, 64)


def test_a_pipeline_and_a_search_use_it(digits: tuple[np.ndarray, np.ndarray]) -> None:
    chain = make_pipeline(ImageAutoencoder(**QUICK), LogisticRegression(max_iter=500))
    scores = cross_val_score(chain, *digits, cv=2)
    assert scores.shape == (2,) and scores.mean() > 0.2
    search = GridSearchCV(clone(ImageAutoencoder(**QUICK)), {"code": [2, 16]}, cv=2).fit(digits[0])
    assert search.best_params_["code"] in (2, 16)
    assert (search.cv_results_["mean_test_score"] < 0).all()


def test_pickling_keeps_every_bit(fitted: ImageAutoencoder, digits: tuple[np.ndarray, np.ndarray]) -> None:
    stored = pickle.dumps(fitted)
    assert b"torch._utils" not in stored  # the model travels as a model file, not as pickled tensors
    again = pickle.loads(stored)
    np.testing.assert_array_equal(again.transform(digits[0]), fitted.transform(digits[0]))
    np.testing.assert_array_equal(again.sample(3), fitted.sample(3))


def test_one_seed_gives_one_model(digits: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = (ImageAutoencoder(**QUICK, random_state=3).fit(digits[0]) for _ in range(2))
    other = ImageAutoencoder(**QUICK, random_state=4).fit(digits[0])
    np.testing.assert_array_equal(first.transform(digits[0]), second.transform(digits[0]))
    assert not np.array_equal(first.transform(digits[0]), other.transform(digits[0]))


def test_samples_look_like_what_it_was_fitted_on(
    fitted: ImageAutoencoder, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    drawn = fitted.sample(50, random_state=1)
    assert drawn.shape == (50, 64)
    assert abs(drawn.mean() - digits[0].mean()) < 1
    assert drawn.std(0).mean() > 0.1


@pytest.mark.parametrize("prior", ["mixture", pytest.param("flow", marks=pytest.mark.slow)])
def test_the_prior_is_a_choice_that_travels(
    prior: Literal["mixture", "flow"], digits: tuple[np.ndarray, np.ndarray]
) -> None:
    model = ImageAutoencoder(**{**QUICK, "steps": 60}, prior=prior).fit(digits[0])
    drawn = model.sample(20, random_state=0)
    assert drawn.shape == (20, 64) and drawn.dtype == digits[0].dtype and drawn.std(0).mean() > 0.1
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).sample(20, random_state=0), drawn)
    np.testing.assert_array_equal(clone(model).fit(digits[0]).sample(20, random_state=0), drawn)
    assert not np.array_equal(clone(model).set_params(prior="gaussian").fit(digits[0]).sample(20), drawn)


def test_codes_held_near_a_normal_are_drawn_from_it(digits: tuple[np.ndarray, np.ndarray]) -> None:
    model = ImageAutoencoder(**{**QUICK, "recipe": "variational", "settings": {"backbone": "dense"}})
    assert model.fit(digits[0]).prior_ == "normal" and model.sample(3).shape == (3, 64)


def test_grids_are_drawn_and_discrete_codes_are_not(digits: tuple[np.ndarray, np.ndarray]) -> None:
    grid: dict[str, Any] = {"recipe": "conv", "code": "2@4", "settings": {"backbone.width": "4"}, "steps": 2}
    assert ImageAutoencoder(**grid, prior="mixture").fit(digits[0]).sample(3).shape == (3, 64)
    settings = {**grid["settings"], "bottleneck.kind": "quantised"}
    discrete = ImageAutoencoder(**{**grid, "settings": settings}).fit(digits[0])
    with pytest.raises(ValueError, match="discrete"):
        discrete.sample(1)


def test_names_and_pandas(fitted: ImageAutoencoder, digits: tuple[np.ndarray, np.ndarray]) -> None:
    names = fitted.get_feature_names_out()
    assert list(names) == [f"imageautoencoder{i}" for i in range(4)]
    pandas = pytest.importorskip("pandas")
    frame = clone(fitted).set_output(transform="pandas").fit_transform(digits[0])
    assert isinstance(frame, pandas.DataFrame) and list(frame.columns) == list(names)


def test_features_are_a_choice(digits: tuple[np.ndarray, np.ndarray]) -> None:
    settings = {"bottleneck.k": 2}
    model = ImageAutoencoder("features", code="8@4", settings=settings, steps=2, features="compact")
    rows = model.fit(digits[0]).transform(digits[0])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    with pytest.raises(ValueError, match="only a code"):
        model.inverse_transform(rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": "dnese"}, "did you mean 'dense'"),
        ({"prior": "uniform"}, "known: gaussian, mixture, flow"),
        ({"image_shape": (5, 5)}, "does not hold 64"),
        ({"features": "all"}, "known: code"),
        ({"settings": {"backbone.widht": "8"}}, "did you mean 'width'"),
    ],
)
def test_what_cannot_work_is_a_value_error(
    change: dict[str, Any], message: str, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    with pytest.raises(ValueError, match=message):
        ImageAutoencoder(**{**QUICK, **change}).fit(digits[0])


def test_other_images_than_it_was_fitted_on_are_refused(fitted: ImageAutoencoder) -> None:
    with pytest.raises(ValueError, match="features"):
        fitted.transform(np.zeros((2, 63)))
    with pytest.raises(ValueError, match="expect"):
        fitted.transform(np.zeros((2, 9, 9)))


def test_the_scale_of_fit_holds_for_all_later_images(digits: tuple[np.ndarray, np.ndarray]) -> None:
    bytes_ = (digits[0] * 15).astype(np.uint8)  # of 255, as the digits are of 17
    model = ImageAutoencoder(**{**QUICK, "steps": 2}).fit(bytes_)
    np.testing.assert_allclose(model.transform(bytes_.astype(float)), model.transform(bytes_), atol=1e-5)
    deep = ImageAutoencoder(**{**QUICK, "steps": 2}, range=(0, 17)).fit(digits[0])
    assert deep.range_ == (0, 17)
    # Alike, not equal: other images are held out, for these are chosen by their bytes.
    first, second = deep.transform(digits[0][:50]), model.transform(bytes_[:50])
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.95
    again = deep.inverse_transform(deep.transform(digits[0]))
    assert again.dtype == digits[0].dtype and again.min() >= 0 and again.max() <= 17


@pytest.mark.parametrize(("scale", "later"), [(1 / 16, 255 / 16), (1.0, 255 / 16), (1.0, -3.0)])
def test_images_on_another_scale_than_that_of_fit_are_refused(
    digits: tuple[np.ndarray, np.ndarray], scale: float, later: float
) -> None:
    model = ImageAutoencoder(**{**QUICK, "steps": 2}).fit(digits[0] * scale)
    for use in (model.transform, model.score):
        with pytest.raises(ValueError, match="another scale"):
            use(digits[0] * later)
    model.transform(np.minimum(digits[0] * scale, 0.9 * scale))  # darker images are images all the same


def test_a_range_that_does_not_hold_the_images_is_refused(digits: tuple[np.ndarray, np.ndarray]) -> None:
    for given, reason in (((0, 8), "another scale"), ((1, 0), "range must be")):
        with pytest.raises(ValueError, match=reason):
            ImageAutoencoder(**QUICK, range=given).fit(digits[0])


def test_floats_in_unit_scale_are_refused_by_a_model_of_bytes(digits: tuple[np.ndarray, np.ndarray]) -> None:
    bytes_ = (digits[0] * 15).astype(np.uint8)
    model = ImageAutoencoder(**{**QUICK, "steps": 2}).fit(bytes_)
    for use in (model.transform, model.score):
        with pytest.raises(ValueError, match="another scale"):
            use(bytes_ / 255)
    model.transform(np.zeros((2, 64)))  # black on every scale


@pytest.mark.parametrize(("factor", "offset"), [(1 / 16, 0), (1.0, 0), (1000.0, -500.0)])
def test_a_few_hot_pixels_do_not_change_the_scale(
    digits: tuple[np.ndarray, np.ndarray], factor: float, offset: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "isthmus")
    images = digits[0] * factor + offset
    hot = images.copy()
    hot[0, 0], hot[3, 5] = images.max() + 1000 * factor, images.min() - 1000 * factor
    clean_model, model = (ImageAutoencoder(**{**QUICK, "steps": 60}).fit(x) for x in (images, hot))
    assert model.range_ == clean_model.range_
    assert sum("2 samples far beyond" in message for message in caplog.messages) == 1
    again = model.inverse_transform(model.transform(hot))
    assert np.square(again - images)[1:3].mean() < images.var()
    clipped = hot.clip(*model.range_)
    np.testing.assert_array_equal(model.transform(hot), model.transform(clipped))


def test_rare_bright_samples_are_part_of_the_scale() -> None:
    """Stars are few, but more than a few hot pixels, and no sample lies alone beyond the others."""
    random = np.random.default_rng(0)
    sky = random.normal(10, 1, (20, 16, 16))
    sky[random.random(sky.shape) < 0.01] = 4000
    model = ImageAutoencoder(**{**QUICK, "steps": 2}).fit(sky)
    assert model.range_[1] == 4000
