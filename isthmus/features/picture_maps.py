"""Scores of pictures of any size: each is read from a map of the picture, and the map is what is shown.

A `Part` is a kind of score with its fitted tensors. It reads whole pictures, resized to the model's size,
or overlapping tiles of them. The map of a picture has one value for each place that the score distinguishes:
one for a whole picture whose features have no places, else a grid, the mean of overlapping tiles, or every
pixel.
The score is the map's maximum (`max`), or the mean of a whole picture's map (`mean`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.features.anomaly_kinds import KINDS_OF_TILES, Kind, Values
from isthmus.features.pictures import mean_to, tile_corners
from isthmus.features.position_statistics import PositionStatistics

Heat = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]
Reading = Literal["max", "mean"]

MAX_MAP_PIXELS = 2**22  # finer maps of larger pictures would only take memory
MAX_ROW_BYTES = 2**28  # rows that a part is fitted to
MAX_COMBINED_SIDE = 512  # of the map of several parts


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
        rows: of each picture, see `RowReader.iter_rows`.
        count: how many pictures.
    """
    if kind == "segmentation":
        statistics = PositionStatistics.fit(tile_rows[0].numpy() for tile_rows in rows)
        return Part(kind, 1, "max", statistics.tensors())
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


def map_values(
    part: Part,
    size: tuple[int, int],
    rows: Tensor,
    values: Values,
    shape: tuple[int, ...],
    ignored: npt.NDArray[np.bool_] | None,
) -> PictureMap:
    """Score and map of one picture, from the values of its places.

    Args:
        size: of tiles.
        rows: of the picture, see `RowReader.iter_rows`.
        values: `(t, g, g)`, what `SCORE_VALUES` gives for these rows.
        shape: of the picture.
        ignored: its pixels that do not count.
    """
    is_one_map = part.tiles == 0 or part.kind == "segmentation"
    heat = values[0] if is_one_map else assemble(values, shape, part.tiles, size)
    peak = peak_of(heat, ignored)
    if part.reading == "max":
        return PictureMap(peak, heat.astype(np.float32), peak)
    # The highest mean of its tiles, as in version 0.1; of `reconstruction` that of the errors before they are
    # smoothed into the map.
    means = rows.double().flatten(1).mean(1).numpy() if part.kind == "reconstruction" else values.mean((1, 2))
    return PictureMap(float(means.max()), heat.astype(np.float32), peak)


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
    corners = tile_corners((height, width), size)
    for value, (top, left) in zip(values, corners, strict=True):
        top, left = top // step, left // step
        down, right = min(tile[0], sums.shape[0] - top), min(tile[1], sums.shape[1] - left)
        sums[top : top + down, left : left + right] += _enlarge(value, tile)[:down, :right]
        counts[top : top + down, left : left + right] += 1
    filled = np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf)
    filled[counts == 0] = filled[counts > 0].min()
    return filled


def peak_of(heat: npt.NDArray[Any], ignored: npt.NDArray[np.bool_] | None) -> float:
    """The highest value of a map; places of which more than half of the pixels are ignored do not count."""
    if ignored is None:
        return float(heat.max())
    share = mean_to(ignored, heat.shape)
    counted = heat[share <= 0.5]
    return float(counted.max()) if counted.size else float(heat.min())


def enlarge_map(heat: npt.NDArray[Any], shape: tuple[int, ...]) -> Heat:
    """A map at the size `(H, W)` of its picture, interpolated linearly."""
    return np.asarray(_enlarge(heat, (shape[0], shape[1])), dtype=np.float32)


def _enlarge(values: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    if values.shape == size:
        return values
    if values.size == 1:
        return np.full(size, values.flat[0])
    tensor = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    return np.asarray(F.interpolate(tensor, size, mode="bilinear", align_corners=False)[0, 0].numpy())


def average_scores(parts: Sequence[Part], scores: Scores) -> Scores:
    """`(parts, n)` → `(n,)` means of z-scores; of one part its scores as they are."""
    if len(parts) == 1:
        return np.asarray(scores[0])
    mean = np.zeros(scores.shape[1])
    for part, own in zip(parts, scores, strict=True):
        mean += (own - part.centre) / part.spread / len(parts)
    return mean


def average_maps(
    parts: Sequence[Part], maps: Sequence[PictureMap], ignored: npt.NDArray[np.bool_] | None
) -> PictureMap:
    """Score and map of one picture: means of the z-scores and of the maps of several parts."""
    if len(parts) == 1:
        return maps[0]
    side = [max(picture_map.heat.shape[axis] for picture_map in maps) for axis in (0, 1)]
    size = (min(side[0], MAX_COMBINED_SIDE), min(side[1], MAX_COMBINED_SIDE))
    heat = np.zeros(size, dtype=np.float64)
    score = 0.0
    for part, picture_map in zip(parts, maps, strict=True):
        score += (picture_map.score - part.centre) / part.spread / len(parts)
        heat += (_resize_peaks(picture_map.heat, size) - part.map_centre) / part.map_spread / len(parts)
    return PictureMap(score, heat.astype(np.float32), peak_of(heat, ignored))


def _resize_peaks(heat: Heat, size: tuple[int, int]) -> Heat:
    """A map at another size: its peaks where it is made smaller, interpolated where it is larger."""
    if heat.shape[0] > size[0] or heat.shape[1] > size[1]:
        smaller = (min(heat.shape[0], size[0]), min(heat.shape[1], size[1]))
        tensor = torch.from_numpy(np.ascontiguousarray(heat))[None, None]
        heat = torch.nn.functional.adaptive_max_pool2d(tensor, smaller)[0, 0].numpy()
    return enlarge_map(heat, size)
