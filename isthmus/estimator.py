"""`isthmus.ImageAutoencoder`: an autoencoder as a scikit-learn transformer.

    from sklearn.pipeline import make_pipeline
    from sklearn.linear_model import LogisticRegression
    model = make_pipeline(isthmus.ImageAutoencoder(recipe="conv", code="32"), LogisticRegression())

Works in `Pipeline`, `GridSearchCV`, `clone` and `cross_val_score`; pickling goes through the model file.
Images may come as `(N, H, W)` or `(N, H, W, C)`, or flat as `(N, features)` as scikit-learn's own do.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from isthmus.errors import IsthmusError
from isthmus.features import readout as readouts
from isthmus.generation.codes import decode_codes
from isthmus.generation.flow_training import STEPS
from isthmus.generation.prior import draw_codes, pad_size
from isthmus.generation.prior_store import fit_prior, list_priors, read_prior
from isthmus.images.reading import read
from isthmus.images.sample_range import SampleScale
from isthmus.log import log_note
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.code import Code
from isthmus.model.loading import load
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import resolve_recipe
from isthmus.training.config import TrainConfig
from isthmus.training.session import train_model
from isthmus.wording import format_count

Array = npt.NDArray[Any]
_MOST_IN_COVARIANCE, _CODES_FOR_PRIOR = 4096, 20_000
_ROWS = 64  # every pass has the same number of rows, so that a row's result does not depend on their number
FEW_IMAGES, FEW_IMAGES_EPOCHS, USUAL_EPOCHS = 2000, 20.0, 10.0


class ImageAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """An autoencoder of images with scikit-learn's interface.

    Args:
        recipe: name of a recipe, or a `Recipe`.
        code: `"64"` or `"32@8"`; None leaves it to the recipe.
        settings: `{"bottleneck.weight": 1e-3}` or `["bottleneck.weight=1e-3"]`.
        image_shape: `(H, W)` or `(H, W, C)` of images that come flat; None takes a square gray image where
            the number of features allows one, otherwise a single row.
        range: `(low, high)` that black and white stand for; None finds it in the images of `fit`.
        epochs, minutes, steps: length of the training, at most one of them. By default it lasts 10 epochs;
            or 20 for fewer than 2,000 images, which make few steps.
        validation: share of the images held out to choose the best weights.
        precision: `"float32"`, `"bfloat16"`, or `"auto"` for the one that this processor multiplies fast.
        features: what `transform` gives. `"code"`; or what the model's readout makes of a layer without
            labels, `"compact"` (256 numbers) or `"full"`. Only a code can be transformed back.
        prior: what `sample` draws codes from: `"gaussian"` (the standard normal where the recipe holds codes
            near it), a `"mixture"` of Gaussians, or a `"flow"` that is trained to refine one, for at most as
            many steps as the autoencoder. Fitted by `fit`, on 20,000 images at most.
        random_state: of the first weights, the order of images and all noise; an int makes it repeatable.

    Attributes:
        model_: the trained `isthmus.Autoencoder`.
        image_shape_: `(H, W, C)`.
        range_: `(low, high)` that black and white stand for, of all images after `fit`. Integers of 8 or 16
            bits have their own; floats inside [0, 1] are taken as they are; others are scaled by their least
            and largest value, beyond which later images may reach by as much again and are clipped. A few
            samples far beyond all others, such as hot pixels, do not count and are clipped. Images on another
            scale are refused.
        n_features_in_: values per image for flat images, as scikit-learn has it.
    """

    def __init__(
        self,
        recipe: str | Recipe = "conv",
        *,
        code: str | int | None = None,
        settings: dict[str, Any] | list[str] | None = None,
        image_shape: tuple[int, ...] | None = None,
        range: tuple[float, float] | None = None,
        epochs: float | None = None,
        minutes: float | None = None,
        steps: int | None = None,
        validation: float = 0.1,
        precision: Literal["auto", "float32", "bfloat16"] = "float32",
        features: Literal["code", "compact", "full"] = "code",
        prior: Literal["gaussian", "mixture", "flow"] = "gaussian",
        random_state: Any = 0,
    ) -> None:
        self.recipe = recipe
        self.code = code
        self.settings = settings
        self.image_shape = image_shape
        self.range = range
        self.epochs = epochs
        self.minutes = minutes
        self.steps = steps
        self.validation = validation
        self.precision = precision
        self.features = features
        self.prior = prior
        self.random_state = random_state

    # ------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002, N803
        """Train on images.

        Args:
            X: `(N, H, W)`, `(N, H, W, C)` or flat `(N, features)`; uint8, uint16, other integers or floats.
            y: ignored.

        Raises:
            ValueError: not images, or parameters that cannot work together.
        """
        if self.features not in ("code", "compact", "full"):
            raise ValueError(f"features='{self.features}' is not known; known: code, compact, full")
        if self.prior not in ("gaussian", "mixture", "flow"):
            raise ValueError(f"prior='{self.prior}' is not known; known: gaussian, mixture, flow")
        images = self._checked(X, reset=True)
        self.image_shape_ = self._shape_of(images)
        self.ndim_ = images.ndim
        try:
            self.scale_ = SampleScale.of(images, self.range)
        except IsthmusError as error:
            raise ValueError(str(error)) from error
        self.range_ = low, high = self.scale_.low, self.scale_.high
        pixels = self._pixels(images)
        if beyond := self.scale_.count_clipped(images):
            log_note(
                "{samples} far beyond all others, or out of range by a rounding error: clipped to [{low:g}, "
                "{high:g}]",
                id="estimator.clipped",
                samples=format_count(beyond, "sample"),
                low=low,
                high=high,
            )
        state = self.random_state
        fixed = isinstance(state, int | np.integer)
        seed = int(state) if fixed else int(check_random_state(state).randint(2**31 - 1))
        lengths = {"steps": self.steps, "minutes": self.minutes, "epochs": self.epochs}
        usual = FEW_IMAGES_EPOCHS if len(images) < FEW_IMAGES else USUAL_EPOCHS
        length: dict[str, Any] = next(
            ({k: v} for k, v in lengths.items() if v is not None), {"epochs": usual}
        )
        try:
            recipe = resolve_recipe(
                self.recipe, None if self.code is None else str(self.code), self.settings or ()
            )
            config = TrainConfig(seed=seed, validation=self.validation, precision=self.precision, **length)
            model = train_model(pixels, config, recipe=recipe)
            if self.features != "code":
                readouts.attach_extractor(model, readouts.fit_extractor(model, read(pixels), seed=seed))
        except IsthmusError as error:
            raise ValueError(str(error)) from error
        self.model_: Autoencoder = model
        self._n_features_out = self._encode(pixels[:1]).shape[1]
        self._fit_prior(pixels, seed)
        return self

    # ------------------------------------------------------------ using

    def transform(self, X: Any) -> Array:  # noqa: N803
        """Images → `(N, numbers)` float32: codes or features, as chosen by `features`."""
        check_is_fitted(self, "model_")
        return self._encode(self._pixels(self._checked(X, reset=False)))

    def inverse_transform(self, X: Any) -> Array:  # noqa: N803
        """Codes `(N, numbers)` → images of the kind, shape and range that `fit` was given.

        Raises:
            ValueError: features are not codes, or of another width.
        """
        check_is_fitted(self, "model_")
        if self.features != "code":
            raise ValueError(f"features='{self.features}' cannot be transformed back: only a code can")
        values = check_array(X, dtype=np.float32)
        shape = self.model_.recipe.geometry.shape(self._code_size)
        if values.shape[1] != math.prod(shape):
            raise ValueError(f"X has {values.shape[1]} features, and the code has {math.prod(shape)}")
        height, width, _ = self.image_shape_
        frame = self.model_.encode(np.zeros((1, *self.image_shape_), np.float32))
        parts = []
        for start in range(0, len(values), _ROWS):
            part = values[start : start + _ROWS].reshape(-1, *shape)
            code = Code(part, frame.geometry, (height, width), frame.kind)
            parts.append(np.asarray(self.model_.decode(code)).reshape(len(part), *self.image_shape_))
        return self._as_given(np.concatenate(parts))

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002, N803
        """Minus the mean squared error of reconstructions, on pixels in [0, 1]: 0 is the best."""
        check_is_fitted(self, "model_")
        pixels = _floats(self._pixels(self._checked(X, reset=False)))
        errors = [
            np.square(np.asarray(self.model_.reconstruct(part)).reshape(part.shape) - part).mean((1, 2, 3))
            for part in np.split(pixels, range(_ROWS, len(pixels), _ROWS))
        ]
        return -float(np.concatenate(errors).mean())

    def sample(self, n_samples: int = 1, *, random_state: Any = None) -> Array:
        """New images, decoded from codes drawn from the prior; of the kind, shape and range of `fit`.

        Raises:
            ValueError: the codes are discrete, or too long for the prior (more than 4,096 numbers, but for
                the flow of a grid code).
        """
        check_is_fitted(self, "model_")
        if self.features != "code":
            raise ValueError(f"features='{self.features}' has no way back to images")
        if self.no_prior_ is not None:
            raise ValueError(f"there is no prior over these codes: {self.no_prior_}")
        state = self.random_state if random_state is None else random_state
        seed = int(check_random_state(state).randint(2**31 - 1))
        size = self.image_shape_[:2]
        shape = self.model_.recipe.geometry.shape(pad_size(self.model_, size))
        codes = draw_codes(read_prior(self.model_, self.prior_), shape, n_samples, seed=seed)
        images = decode_codes(self.model_, codes, size).permute(0, 2, 3, 1)
        return self._as_given(np.ascontiguousarray(images.numpy()))

    # ------------------------------------------------------------ scikit-learn's conventions

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []  # codes are float32 for all images
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        if isinstance(state.get("model_"), Autoencoder):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.safetensors"
                state["model_"].save(path)
                state = {**state, "model_": path.read_bytes()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        model_bytes = state.get("model_")
        if isinstance(model_bytes, bytes):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.safetensors"
                path.write_bytes(model_bytes)
                state = {**state, "model_": load(path)}
        super().__setstate__(state)

    # ------------------------------------------------------------ images in and out

    def _checked(self, X: Any, *, reset: bool) -> Array:  # noqa: N803
        images: Array = validate_data(
            self, X, reset=reset, allow_nd=True, dtype="numeric", ensure_min_features=1
        )
        if images.ndim > 4:
            raise ValueError(f"images are (N, H, W), (N, H, W, C) or flat (N, features), not {images.shape}")
        if not reset:
            shape = (*images.shape[1:], 1) if images.ndim == 3 else images.shape[1:]
            if images.ndim == 2 and images.shape[1] != math.prod(self.image_shape_):
                raise ValueError(
                    f"images of {math.prod(self.image_shape_)} values are expected, not {shape[0]}"
                )
            if images.ndim > 2 and shape != self.image_shape_:
                raise ValueError(f"images of shape {self.image_shape_} are expected, not {shape}")
        return images

    def _shape_of(self, images: Array) -> tuple[int, int, int]:
        if images.ndim > 2:
            height, width, channels = (*images.shape[1:], 1)[:3]
        elif self.image_shape is not None:
            if len(self.image_shape) not in (2, 3):
                raise ValueError(f"image_shape={self.image_shape}: write (H, W) or (H, W, C)")
            height, width, channels = (*self.image_shape, 1)[:3]
        else:
            side = math.isqrt(images.shape[1])
            height, width = (side, side) if side * side == images.shape[1] else (1, images.shape[1])
            channels = 1
        if images.ndim == 2 and height * width * channels != images.shape[1]:
            raise ValueError(f"image_shape {self.image_shape} does not hold {images.shape[1]} values")
        return int(height), int(width), int(channels)

    def _pixels(self, images: Array) -> Array:
        """`(N, H, W, C)` as `train` takes them: integers of 8 or 16 bits, or floats in [0, 1]."""
        return self.scale_.to_pixels(images.reshape(len(images), *self.image_shape_))

    def _as_given(self, pixels: Array) -> Array:
        restored = self.scale_.restore(pixels)
        if self.ndim_ == 2:
            return restored.reshape(len(restored), -1)
        return restored[..., 0] if self.ndim_ == 3 else restored

    @property
    def _code_size(self) -> tuple[int, int]:
        multiple = self.model_.multiple
        return -(-self.image_shape_[0] // multiple) * multiple, -(
            -self.image_shape_[1] // multiple
        ) * multiple

    def _encode(self, pixels: Array) -> Array:
        if self.features != "code":
            readout = readouts.read_extractor(self.model_)
            assert readout is not None  # fit stores one
            return readouts.extract_features(
                self.model_, read(pixels), readout, compact=self.features == "compact"
            )
        parts = []
        for start in range(0, len(pixels), _ROWS):
            part = pixels[start : start + _ROWS]
            filled = np.concatenate([part, np.repeat(part[-1:], _ROWS - len(part), axis=0)])
            parts.append(self.model_.encode(filled).flat()[: len(part)])
        return np.concatenate(parts).astype(np.float32, copy=False)

    def _fit_prior(self, pixels: Array, seed: int) -> None:
        """What `sample` draws from, attached to the model; `no_prior_` gives the reason if there is none."""
        self.prior_: str = self.prior
        self.no_prior_: str | None = None
        if self.prior == "gaussian" and list_priors(self.model_) == ("normal",):
            self.prior_ = "normal"
            return
        flow_of_grid = self.prior == "flow" and self.model_.recipe.geometry.is_grid
        if self.features != "code" or (self._n_features_out > _MOST_IN_COVARIANCE and not flow_of_grid):
            self.no_prior_ = f"{self._n_features_out:,} numbers are too many for it"
            return
        steps = min(STEPS, self.model_.summary["steps"])
        try:
            images = read(pixels[:_CODES_FOR_PRIOR])
            fit_prior(self.model_, images, kind=self.prior, steps=steps, seed=seed)
        except IsthmusError as error:
            self.no_prior_ = str(error)


def _floats(pixels: Array) -> Array:
    white = float(np.iinfo(pixels.dtype).max) if np.issubdtype(pixels.dtype, np.integer) else 1.0
    return np.asarray(pixels / white, dtype=np.float32)
