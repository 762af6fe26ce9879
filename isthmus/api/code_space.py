"""The codes of images as a space to move in: principal directions, a plane, decoding of any point."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from isthmus.api.inputs import DataLike, ModelLike, check_count, open_model_and_data
from isthmus.api.result import use
from isthmus.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from isthmus.model.autoencoder import Autoencoder
    from isthmus.progress import Progress

MAX_DIRECTIONS = 12
MIN_IMAGES = 3


@dataclass(frozen=True, kw_only=True, repr=False)
class CodeSpace:
    """Codes of images about their mean, along their principal directions.

    Attributes:
        names: of the images.
        labels: the class of each image by name, or None.
        coordinates: `(N, K)` float32: each code along the directions, in standard deviations.
        explained: `(K,)` share of the codes' variance along each direction.
        size: height and width of decoded images.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...] | None
    coordinates: npt.NDArray[np.float32] = field(repr=False)
    explained: npt.NDArray[np.float32] = field(repr=False)
    size: tuple[int, int]
    _codes: npt.NDArray[np.float32] = field(repr=False)
    _mean: npt.NDArray[np.float32] = field(repr=False)
    _directions: npt.NDArray[np.float32] = field(repr=False)
    _shape: tuple[int, ...] = field(repr=False)
    _model: Autoencoder = field(repr=False)

    @property
    def directions(self) -> int:
        """Number of directions."""
        return len(self.explained)

    def decode(self, moves: npt.ArrayLike, *, start: int | None = None) -> npt.NDArray[np.uint8]:
        """The image at a point of the space, `(H, W, C)` uint8.

        Args:
            moves: up to K numbers of standard deviations along the directions, the others are 0.
            start: begin at the code of this image instead of the mean.

        Raises:
            DataError: more numbers than there are directions.
        """
        import numpy as np

        along = np.asarray(moves, dtype=np.float32).reshape(-1)
        if len(along) > self.directions:
            raise DataError(
                "{given} moves were given, but the space has {directions} directions",
                id="code-space.moves",
                given=len(along),
                directions=self.directions,
            )
        origin = self._mean if start is None else self._codes[start]
        return self._decode(origin + along @ self._directions[: len(along)])

    def decode_numbers(self, changes: dict[int, float], *, start: int | None = None) -> npt.NDArray[np.uint8]:
        """The image of a code of which single numbers were set.

        Args:
            changes: index of a number of the (flattened) code -> its value.
            start: the code of this image, by default the mean.
        """
        code = (self._mean if start is None else self._codes[start]).copy()
        for index, value in changes.items():
            code[index % len(code)] = value
        return self._decode(code)

    def numbers(self, start: int | None = None) -> npt.NDArray[np.float32]:
        """The flattened code of an image, or the mean."""
        return self._mean if start is None else self._codes[start]

    def _decode(self, code: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        import torch

        from isthmus.generation.codes import decode_codes
        from isthmus.threads import limited

        values = torch.from_numpy(code).reshape(1, *self._shape).float()
        with limited():
            image = decode_codes(self._model, values, self.size)[0]
        pixels: npt.NDArray[np.uint8] = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        return pixels


@use
def open_code_space(
    model: ModelLike, data: DataLike, *, limit: int = 1000, progress: Progress | None = None
) -> CodeSpace:
    """Encode images, and find the principal directions of their codes.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        data: images: a folder, file, archive, array, named set, or a list of those.
        limit: at most this many images, evenly spaced.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        CapabilityError: the model cannot generate.
        DataError: fewer than three images, or unreadable ones.

    Examples:
        >>> import isthmus, numpy as np
        >>> from isthmus.api.code_space import open_code_space
        >>> images = np.random.default_rng(0).random((32, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> open_code_space(model, images).decode([1.0]).shape
        (16, 16, 1)
    """
    import numpy as np

    from isthmus.generation.codes import check_generates, convert_for_model, encode_converted
    from isthmus.progress import start_task

    check_count("limit", limit, least=MIN_IMAGES)
    network, images = open_model_and_data(model, data, limit=limit)
    check_generates(network)
    if len(images) < MIN_IMAGES:
        raise DataError("a map needs at least {least} images", id="map.too-few-images", least=MIN_IMAGES)
    with start_task(progress, "encoding", 1) as task:
        converted = convert_for_model(network, images)
        encoded: Any = encode_converted(network, converted)
        task.update(1)
    codes = encoded.flatten(1).numpy()
    mean = codes.mean(0)
    count = min(MAX_DIRECTIONS, len(codes) - 1, codes.shape[1])
    _, strengths, rows = np.linalg.svd(codes - mean, full_matrices=False)
    deviations = strengths / np.sqrt(max(1, len(codes) - 1))
    total = float(np.square(deviations).sum()) or 1.0
    # The sign of a direction is arbitrary: the largest part points up, so that it is the same everywhere.
    signs = np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(1)])
    directions = (rows * signs[:, None] * deviations[:, None])[:count].astype(np.float32)
    safe = np.maximum(deviations[:count], 1e-12)
    coordinates = ((codes - mean) @ (rows * signs[:, None])[:count].T / safe).astype(np.float32)
    labels = None
    if images.labels is not None and images.classes:
        labels = tuple(images.classes[int(label)] for label in images.labels)
    assert converted.shape is not None
    return CodeSpace(
        names=images.names,
        labels=labels,
        coordinates=coordinates,
        explained=(np.square(deviations[:count]) / total).astype(np.float32),
        size=(converted.shape[0], converted.shape[1]),
        _codes=codes,
        _mean=mean,
        _directions=directions,
        _shape=tuple(encoded.shape[1:]),
        _model=network,
    )
