"""Facts that results give next to their numbers: about the model, the images, and the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isthmus.api.result import skipped_inputs
from isthmus.log import SkippedInput

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder


@dataclass(frozen=True, kw_only=True, repr=False)
class CompressedFacts:
    """The header of a compressed image.

    Attributes:
        file: its path, as it was given.
        bytes: size of the file.
        bpp: bits per pixel.
        format: version of the file format.
        size: height and width of the image in pixels.
        channels: 1 gray, 3 colour.
        alpha: whether there is transparency.
        quality: 1 to 100.
        tile: side of a tile in pixels.
        tiles: number of tiles.
        made_with: fingerprint of the model, in hexadecimal.
        parts: bytes by part: `header`, `tiles`, `alpha`, `icc`, `exif`, `preview`, as far as it has them.
    """

    file: str
    bytes: int
    bpp: float
    format: int
    size: Sequence[int]
    channels: int
    alpha: bool
    quality: float
    tile: int
    tiles: int
    made_with: str
    parts: Mapping[str, int]


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a model.

    Attributes:
        recipe: its name.
        code: shape of the code, as recipes write it.
        size: height and width in pixels.
        channels: 1 or 3.
        parameters: numbers that were trained.
        parameters_encoder: those of the encoder.
        parameters_decoder: those of the decoder.
        trained_on: source of the training images.
        training_images: how many these were.
        steps: of the training.
        training_seconds: how long it took.
        precision: in which it was trained.
        findings: what the training has shown.
    """

    recipe: str
    code: str
    size: tuple[int, int]
    channels: int
    parameters: int
    parameters_encoder: int
    parameters_decoder: int
    trained_on: str | None
    training_images: int | None
    steps: int | None
    training_seconds: float | None
    precision: str | None
    findings: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class DataFacts:
    """Facts about the images.

    Attributes:
        source: where they come from.
        images: how many were measured.
        of: how many there are.
        size: greatest height and greatest width in pixels.
        sizes_differ: whether they have several sizes.
        channels: 1 or 3.
        type: of their values.
        black_and_white: whether every value is the least or the greatest.
        fingerprint: of all images.
        skipped: files that could not be read.
    """

    source: str
    images: int
    of: int
    size: tuple[int, int]
    sizes_differ: bool
    channels: int
    type: str
    black_and_white: bool
    fingerprint: str
    skipped: tuple[SkippedInput, ...]


@dataclass(frozen=True)
class Gap:
    """The same metrics on training images.

    Attributes:
        images: number of training images, evenly spaced.
        train: metrics on these.
        difference: metrics on the measured images minus those on training images.
        mse_ratio: squared error divided by that on training images; null where that is 0.
    """

    images: int
    train: Mapping[str, float]
    difference: Mapping[str, float]
    mse_ratio: float | None


@dataclass(frozen=True)
class WorstImage:
    """One of the images with the greatest error.

    Attributes:
        name: of the image.
        mse: mean squared error, of values in [0, 1].
        psnr: in dB.
    """

    name: str
    mse: float
    psnr: float


@dataclass(frozen=True)
class Environment:
    """Versions and hardware.

    Attributes:
        isthmus: version.
        python: version.
        torch: version.
        numpy: version.
        system: operating system.
        instruction_set: that torch uses.
        threads: of torch.
    """

    isthmus: str
    python: str
    torch: str
    numpy: str
    system: str
    instruction_set: str
    threads: int


def describe_network(model: Autoencoder) -> ModelFacts:
    """Recipe, code, size, parameters, and what the model was trained on."""
    encoder, decoder = (sum(p.numel() for p in part.parameters()) for part in (model.encoder, model.decoder))
    summary = model.summary
    data = summary.get("data") or {}
    return ModelFacts(
        recipe=model.recipe.name,
        code=model.recipe.code,
        size=model.size,
        channels=model.channels,
        parameters=sum(p.numel() for p in model.parameters()),
        parameters_encoder=encoder,
        parameters_decoder=decoder,
        trained_on=data.get("source"),
        training_images=data.get("images"),
        steps=summary.get("steps"),
        training_seconds=summary.get("seconds"),
        precision=(summary.get("settled") or {}).get("precision"),
        findings=tuple(summary.get("findings") or ()),
    )


def describe_images(source_images: ImageSet, images: ImageSet, binary: bool) -> DataFacts:
    """The images that were measured, out of those given; `binary`: all values are the least or greatest."""
    from isthmus.evaluation.passes import largest_size

    return DataFacts(
        source=source_images.source,
        images=len(images),
        of=len(source_images),
        size=largest_size(images),
        sizes_differ=images.shape is None,
        channels=images.channels,
        type=str(images.dtype),
        black_and_white=binary,
        fingerprint=source_images.fingerprint(),
        skipped=skipped_inputs(source_images.skipped),
    )


def list_labels(labels: npt.NDArray[np.int64] | None, classes: Sequence[str]) -> list[str] | None:
    """The class of each image by name; None where there are no labels."""
    return None if labels is None else [classes[label] for label in labels]


def label_arrays(labels: npt.NDArray[np.int64] | None, classes: Sequence[str]) -> dict[str, Any]:
    """`labels (N,)` and `classes` as results save them; nothing where there are no labels."""
    import numpy as np

    return {} if labels is None else {"labels": labels, "classes": np.array(classes)}


def describe_gap(test: Mapping[str, float], train: Mapping[str, float], count: int) -> Gap:
    """The metrics of `test` and of `count` training images, compared."""
    shared = [name for name in test if name in train]
    return Gap(
        images=count,
        train=train,
        difference={name: test[name] - train[name] for name in shared},
        mse_ratio=test["mse"] / train["mse"] if train["mse"] > 0 else None,
    )


def describe_environment() -> Environment:
    """Versions and hardware of this process."""
    import platform

    import numpy
    import torch

    from isthmus.version import __version__

    return Environment(
        isthmus=__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=numpy.__version__,
        system=platform.platform(),
        instruction_set=torch.backends.cpu.get_cpu_capability(),
        threads=torch.get_num_threads(),
    )
