"""Scores of pictures of any size: each is read from a map of the picture, and the map is what is shown.

A `Part` is a kind of score with its fitted tensors. It reads whole pictures, resized to the model's size,
or overlapping tiles of them. The map of a picture has one value for each place that the score distinguishes:
one for a whole picture whose features have no places, else a grid, the mean of overlapping tiles, or every
pixel.
The score is the map's maximum (`max`), or the mean of a whole picture's map (`mean`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.features.anomaly_kinds import (
    KINDS_OF_TILES,
    KINDS_WITHOUT_NETWORK,
    Kind,
    Values,
    passes_per_batch,
)
from isthmus.features.readout import NUMBERS_PER_PASS, FeatureExtractor
from isthmus.images.store import ImageSet, Pixels
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.tensors import resize_images

Heat = npt.NDArray[np.float32]
Reading = Literal["max", "mean"]

MAX_MAP_PIXELS = 2**22  # finer maps of larger pictures would only take memory
MAX_FLOAT_PIXELS = 2**24  # larger pictures are averaged down before they are resized as a whole
MAX_NETWORK_PIXELS = 2**20  # of whole pictures that go through a network together, before copies fill up
MAX_ROW_BYTES = 2**28  # rows that a part is fitted to
TILE_OVERLAP = 0.5
# Networks add in another order for one to three images than for more, and the last bits differ: passes are
# filled up to whole fours, so that a picture has the same score alone and among others.
IMAGES_PER_KERNEL = 4


class Picture(NamedTuple):
    """One picture.

    Attributes:
        pixels: `(H, W, C)` uint8, uint16 or float32 in [0, 1].
        ignored: `(H, W)` bool, pixels that do not count; None where all do.
    """

    pixels: Pixels
    ignored: npt.NDArray[np.bool_] | None = None


class Pictures(Sequence[Picture]):
    """An image set, or some of its images, as pictures of which all pixels count."""

    def __init__(self, images: ImageSet) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: Any) -> Any:
        return Picture(self._images.image(int(index)))


class PictureMap(NamedTuple):
    """The output of a detector for one picture.

    Attributes:
        score: higher is more unusual.
        heat: `(h, w)` float32, the map that the score was read from, at its own resolution.
        peak: the highest value of the map where pixels count.
    """

    score: float
    heat: Heat
    peak: float


@dataclass(frozen=True)
class Part:
    """One score of a detector.

    Attributes:
        kind: which score.
        tiles: 0 reads whole pictures; n reads tiles of pictures that were made n times smaller.
        reading: how a picture's score is read from its map.
        tensors: the fitted tensors.
            centre, spread: mean and deviation of the scores of normal pictures, by which it is made a z-score
            where several parts are averaged.
        map_centre, map_spread: those of the peaks of their maps, by which maps are averaged.
    """

    kind: Kind
    tiles: int
    reading: Reading
    tensors: dict[str, Tensor]
    centre: float = 0.0
    spread: float = 1.0
    map_centre: float = 0.0
    map_spread: float = 1.0

    def in_single_precision(self) -> Part:
        """The same with tensors that need not be converted for each picture."""
        return replace(self, tensors={name: tensor.float() for name, tensor in self.tensors.items()})

    @property
    def title(self) -> str:
        """Its name in messages, such as `density` or `local of tiles at half size`."""
        if self.tiles == 0 or self.kind == "segmentation":
            return self.kind
        return f"{self.kind} of tiles" + ("" if self.tiles == 1 else f" at 1/{self.tiles} size")


def default_reading(kind: Kind, tiles: int) -> Reading:
    """The maximum; for whole pictures of `local` and `reconstruction` the mean, as in version 0.1."""
    return "mean" if tiles == 0 and kind in ("local", "reconstruction") else "max"


def fit_part(kind: Kind, tiles: int, rows: Iterable[Tensor], count: int, *, seed: int = 0) -> Part:
    """Fit one score to normal pictures; of each at most as many tiles as fit into memory for all.

    Args:
        rows: what `iter_rows` gives for each picture; `count`: how many pictures.
    """
    if kind == "segmentation":
        from isthmus.features.position_statistics import PositionStatistics

        return Part(
            kind, 1, "max", PositionStatistics.fit(tile_rows[0].numpy() for tile_rows in rows).tensors()
        )
    if kind == "reconstruction":
        return Part(kind, tiles, default_reading(kind, tiles), {})
    random = np.random.default_rng(seed)
    chosen: list[Tensor] = []
    for tile_rows in rows:
        most = max(1, MAX_ROW_BYTES // (max(1, tile_rows[0].numel() * 4) * count))
        if len(tile_rows) > most:
            tile_rows = tile_rows[torch.from_numpy(np.sort(random.permutation(len(tile_rows))[:most]))]
        chosen.append(tile_rows.clone())
    if len(chosen) * chosen[0][0].numel() * 4 > MAX_ROW_BYTES:  # one of each picture is still too much
        most = max(64, MAX_ROW_BYTES // (chosen[0][0].numel() * 4))
        chosen = [chosen[i] for i in np.sort(random.permutation(len(chosen))[:most])]
    tensors = KINDS_OF_TILES[kind].fit(torch.cat(chosen), seed)
    return Part(kind, tiles, default_reading(kind, tiles), tensors)


def iter_rows(
    model: Autoencoder, extractor: FeatureExtractor, kind: Kind, tiles: int, pictures: Sequence[Picture]
) -> Iterator[Tensor]:
    """For each picture the rows `(t, …)` that a kind reads: of the whole one, or of its tiles.

    For `segmentation` they are the logits `(1, H, W)`.
    """
    if kind == "segmentation":
        from isthmus.features.segmentation import segmentation_map

        for index in range(len(pictures)):
            yield torch.from_numpy(segmentation_map(model, to_unit(pictures[index].pixels)))[None]
        return
    if tiles == 0:
        for rows in _iter_whole_pictures(model, extractor, kind, pictures):
            yield from rows.split(1)
        return
    per_pass = passes_per_batch(model, extractor, NUMBERS_PER_PASS)
    for index in range(len(pictures)):
        corners, pieces = _cut(pictures[index], tiles, extractor.reading.size)
        parts = [
            _read_filled(kind, model, extractor, pieces(corners[start : start + per_pass]))
            for start in range(0, len(corners), per_pass)
        ]
        yield torch.cat(parts)


def map_pictures(
    model: Autoencoder, extractor: FeatureExtractor, part: Part, pictures: Sequence[Picture]
) -> Iterator[PictureMap]:
    """Score and map of each picture, in order; a picture has the same alone and among others."""
    ready = part.in_single_precision()
    if part.tiles == 0:  # many small pictures: their values are computed together
        index = 0
        for rows in _iter_whole_pictures(model, extractor, part.kind, pictures):
            values = KINDS_OF_TILES[part.kind].values(ready.tensors, rows)
            for row, value in zip(rows, values, strict=True):
                yield _read_map(part, pictures[index].ignored, value, row[None], value[None])
                index += 1
        return
    for index, rows in enumerate(iter_rows(model, extractor, part.kind, part.tiles, pictures)):
        picture = pictures[index]
        yield map_rows(ready, extractor, rows, picture.pixels.shape, picture.ignored)


def map_rows(
    part: Part,
    extractor: FeatureExtractor,
    rows: Tensor,
    shape: tuple[int, ...],
    ignored: npt.NDArray[np.bool_] | None,
) -> PictureMap:
    """Score and map of one picture, from what `iter_rows` gave for it.

    Args:
        part: see `Part.in_single_precision`.
        shape: of the picture.
    """
    if part.kind == "segmentation":
        from isthmus.features.position_statistics import PositionStatistics

        statistics = PositionStatistics.from_tensors(part.tensors)
        heat = statistics.normalise(rows[0].numpy())
        peak = peak_of(heat, ignored)
        return PictureMap(peak, heat, peak)
    values = KINDS_OF_TILES[part.kind].values(part.tensors, rows)
    if part.tiles == 0:
        return _read_map(part, ignored, values[0], rows, values)
    return _read_map(part, ignored, assemble(values, shape, part.tiles, extractor.reading.size), rows, values)


def assemble(
    values: Values, shape: tuple[int, ...], shrink: int, size: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Values `(t, g, g)` of tiles → the map `(h, w)` of the picture, means where tiles overlap.

    Args:
        shape: height and width of the picture.
        shrink: by which it was made smaller before it was cut.
        size: of the tiles.
    """
    height, width = (max(1, -(-side // shrink)) for side in shape[:2])
    step = max(1, int(np.ceil((height * width / MAX_MAP_PIXELS) ** 0.5)))
    sums = np.zeros((-(-height // step), -(-width // step)))
    counts = np.zeros_like(sums)
    tile = (max(1, size[0] // step), max(1, size[1] // step))
    corners = _corners((height, width), size)
    for value, (top, left) in zip(values, corners, strict=True):
        top, left = top // step, left // step
        down, right = min(tile[0], sums.shape[0] - top), min(tile[1], sums.shape[1] - left)
        sums[top : top + down, left : left + right] += _enlarge(value, tile)[:down, :right]
        counts[top : top + down, left : left + right] += 1
    filled = np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf)
    filled[counts == 0] = filled[counts > 0].min()
    return filled


def count_tiles(shape: tuple[int, ...], shrink: int, size: tuple[int, int]) -> int:
    """How many tiles a picture is cut into."""
    smaller = tuple(max(1, -(-side // shrink)) for side in shape[:2])
    return len(_corners(smaller, size))


def peak_of(heat: npt.NDArray[Any], ignored: npt.NDArray[np.bool_] | None) -> float:
    """The highest value of a map; places of which more than half of the pixels are ignored do not count."""
    if ignored is None:
        return float(heat.max())
    share = _mean_to(ignored, heat.shape)
    counted = heat[share <= 0.5]
    return float(counted.max()) if counted.size else float(heat.min())


def enlarge_map(heat: npt.NDArray[Any], shape: tuple[int, ...]) -> Heat:
    """A map at the size `(H, W)` of its picture, interpolated linearly."""
    return np.asarray(_enlarge(heat, (shape[0], shape[1])), dtype=np.float32)


def to_unit(pixels: Pixels) -> npt.NDArray[np.float32]:
    """`(H, W, C)` float32 in [0, 1]."""
    if pixels.dtype == np.float32:
        return pixels
    return np.divide(pixels, np.float32(np.iinfo(pixels.dtype).max), dtype=np.float32)


def shrink_pixels(pixels: Pixels, factor: int) -> npt.NDArray[np.float32]:
    """`(H, W, C)` → float32 in [0, 1], `factor` times smaller: means of blocks, the last one smaller."""
    if factor == 1:
        return to_unit(pixels)
    strips = []
    for top in range(0, len(pixels), factor):
        strip = to_unit(pixels[top : top + factor]).mean(0)
        width = strip.shape[0]
        whole_width = width // factor * factor
        blocks = strip[:whole_width].reshape(-1, factor, strip.shape[1]).mean(1)
        strips.append(
            np.concatenate([blocks, strip[whole_width:].mean(0)[None]]) if whole_width < width else blocks
        )
    return np.stack(strips).astype(np.float32)


def _read_map(
    part: Part,
    ignored: npt.NDArray[np.bool_] | None,
    heat: npt.NDArray[np.float64],
    rows: Tensor,
    values: Values,
) -> PictureMap:
    """The score of one picture, from its map, or as version 0.1 did: the highest mean of its tiles."""
    peak = peak_of(heat, ignored)
    if part.reading == "max":
        return PictureMap(peak, heat.astype(np.float32), peak)
    # The mean error is that of the pixels themselves; the map is smoothed.
    own = rows.double().flatten(1).mean(1).numpy() if part.kind == "reconstruction" else values.mean((1, 2))
    return PictureMap(float(own.max()), heat.astype(np.float32), peak)


def _iter_whole_pictures(
    model: Autoencoder, extractor: FeatureExtractor, kind: Kind, pictures: Sequence[Picture]
) -> Iterator[Tensor]:
    """Rows `(n, …)` of whole pictures, a few at a time, in order."""
    size = extractor.reading.size if KINDS_OF_TILES[kind].resizes else None
    most = MAX_FLOAT_PIXELS if size or kind in KINDS_WITHOUT_NETWORK else MAX_NETWORK_PIXELS
    per_pass = passes_per_batch(model, extractor, NUMBERS_PER_PASS)
    batch: list[Tensor] = []
    for index in range(len(pictures)):
        image = _prepare_picture(pictures[index], size, most)
        pixels = sum(part.shape[2] * part.shape[3] for part in [*batch, image])
        if batch and (len(batch) == per_pass or (size is None and pixels > most)):
            for group in _equal_shapes(batch):
                yield _read_filled(kind, model, extractor, torch.cat(group))
            batch = []
        batch.append(image)
    for group in _equal_shapes(batch):
        yield _read_filled(kind, model, extractor, torch.cat(group))


def _read_filled(kind: Kind, model: Autoencoder, extractor: FeatureExtractor, tiles: Tensor) -> Tensor:
    missing = 0 if kind in KINDS_WITHOUT_NETWORK else -len(tiles) % IMAGES_PER_KERNEL
    if missing:
        tiles = torch.cat([tiles, tiles[-1:].expand(missing, -1, -1, -1)])
    return KINDS_OF_TILES[kind].read(model, extractor, tiles)[: len(tiles) - missing]


def _prepare_picture(picture: Picture, size: tuple[int, int] | None, most_pixels: int) -> Tensor:
    """`(1, C, h, w)` of the picture, resized if `size` is given; ignored pixels have its mean colour."""
    height, width, _ = picture.pixels.shape
    factor = int(np.ceil((height * width / most_pixels) ** 0.5))
    pixels = shrink_pixels(picture.pixels, max(1, factor))
    if picture.ignored is not None and picture.ignored.any() and not picture.ignored.all():
        away = _mean_to(picture.ignored, pixels.shape[:2]) > 0.5
        if not away.all():
            pixels = np.where(away[..., None], pixels[~away].mean(0), pixels).astype(np.float32)
    tensor = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    return tensor if size is None else resize_images(tensor, size)


def _equal_shapes(batch: list[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one shape together."""
    group: list[Tensor] = []
    for image in batch:
        if group and image.shape != group[0].shape:
            yield group
            group = []
        group.append(image)
    if group:
        yield group


def _cut(picture: Picture, shrink: int, size: tuple[int, int]) -> tuple[list[tuple[int, int]], Any]:
    """Corners of the tiles, and a function from some of them to `(n, C, h, w)`."""
    pixels = picture.pixels if shrink == 1 else shrink_pixels(picture.pixels, shrink)
    missing = [max(0, side - have) for side, have in zip(size, pixels.shape[:2], strict=True)]
    if any(missing):
        pixels = np.pad(pixels, (*((0, n) for n in missing), (0, 0)), mode="edge")

    def pieces(corners: list[tuple[int, int]]) -> Tensor:
        cut = [pixels[top : top + size[0], left : left + size[1]] for top, left in corners]
        return torch.from_numpy(to_unit(np.stack(cut))).permute(0, 3, 1, 2)

    return _corners(pixels.shape[:2], size), pieces


def _corners(shape: tuple[int, ...], size: tuple[int, int]) -> list[tuple[int, int]]:
    rows, columns = (
        _tile_starts(max(side, tile), tile, TILE_OVERLAP) for side, tile in zip(shape[:2], size, strict=True)
    )
    return [(top, left) for top in rows for left in columns]


def _enlarge(values: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    if values.shape == size:
        return values
    if values.size == 1:
        return np.full(size, values.flat[0])
    tensor = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    return np.asarray(F.interpolate(tensor, size, mode="bilinear", align_corners=False)[0, 0].numpy())


def _mean_to(mask: npt.NDArray[np.bool_], size: tuple[int, ...]) -> npt.NDArray[np.float32]:
    tensor = torch.from_numpy(np.ascontiguousarray(mask, dtype=np.float32))[None, None]
    return np.asarray(F.interpolate(tensor, (size[0], size[1]), mode="area")[0, 0].numpy())


def _tile_starts(length: int, piece: int, overlap: float) -> list[int]:
    """Where pieces of a side begin, so that the last one ends at its end."""
    step = max(1, round(piece * (1 - overlap)))
    return [*range(0, length - piece, step), length - piece]
