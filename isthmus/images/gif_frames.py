"""Pictures as GIF holds them: 256 colours, of which one may be transparent."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from isthmus.images.store import Pixels

MAX_COLOURS = 256
_BLOCK_PX = 2**18  # whose colours are looked at together
_HALF = 128  # of 255: alpha from here on is opaque


def lost_in_gif(pixels: Pixels) -> tuple[str, ...]:
    """Words for what a GIF does not hold of a picture `(H, W, 1 to 4)` uint8."""
    words = []
    if pixels.shape[2] in (2, 4) and ((pixels[..., -1] > 0) & (pixels[..., -1] < 255)).any():
        words.append("soft transparency")
    if _few_colours(pixels, MAX_COLOURS - bool(_hidden(pixels).any())) is None:
        words.append(f"colours beyond {MAX_COLOURS}")
    return tuple(words)


def harden_alpha(pixels: Pixels) -> Pixels:
    """A picture `(H, W, 1 to 4)` uint8 whose pixels are transparent or opaque."""
    if pixels.shape[2] not in (2, 4):
        return pixels
    opacity = np.where(_hidden(pixels), 0, 255).astype(np.uint8)
    return np.concatenate([pixels[..., :-1], opacity[..., None]], axis=2)


def as_gif_frame(pixels: Pixels) -> Image.Image:
    """A picture `(H, W, 1 to 4)` uint8 with a palette: exactly, where its colours are few enough."""
    hidden = _hidden(pixels)
    most = MAX_COLOURS - bool(hidden.any())
    colours = _few_colours(pixels, most)
    if colours is None:
        few = Image.fromarray(_colour(pixels)).quantize(most, Image.Quantize.MEDIANCUT)
        palette = np.array(few.getpalette("RGB"), np.uint8).reshape(-1, 3)[:most]
        indices = np.array(few)
    else:
        palette = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.uint8)
        indices = np.zeros(hidden.shape, np.uint8)
        for rows in _blocks(pixels):
            indices[rows][~hidden[rows]] = np.searchsorted(colours, _visible_numbers(pixels[rows]))
    info: dict[str, int] = {}
    if hidden.any():  # a colour of their own: Pillow drops those that no pixel has, and renumbers the others
        indices[hidden] = info["transparency"] = len(palette)
        palette = np.concatenate([palette, np.zeros((1, 3), np.uint8)])
    frame = Image.fromarray(indices, "P")
    frame.putpalette(palette.tobytes())
    frame.info.update(info)
    return frame


def _colour(pixels: Pixels) -> Pixels:
    channels = pixels.shape[2] - (pixels.shape[2] in (2, 4))
    return np.repeat(pixels[..., :1], 3, axis=2) if channels == 1 else np.ascontiguousarray(pixels[..., :3])


def _hidden(pixels: Pixels) -> Pixels:
    if pixels.shape[2] not in (2, 4):
        return np.zeros(pixels.shape[:2], bool)
    return np.asarray(pixels[..., -1] < _HALF)


def _few_colours(pixels: Pixels, most: int) -> Pixels | None:
    """The colours of what is seen as rising whole numbers; None where there are more than `most`."""
    colours = np.empty(0, np.int32)
    for rows in _blocks(pixels):
        colours = np.union1d(colours, _visible_numbers(pixels[rows]))
        if len(colours) > most:
            return None
    return colours


def _visible_numbers(pixels: Pixels) -> Pixels:
    """The colour of each pixel that is seen as one whole number."""
    is_visible = ~_hidden(pixels)
    red, green, blue = (plane[is_visible].astype(np.int32) for plane in np.moveaxis(_colour(pixels), -1, 0))
    numbers: Pixels = red << 16 | green << 8 | blue
    return numbers


def _blocks(pixels: Pixels) -> Iterator[slice]:
    """Rows that are looked at together."""
    height, width = pixels.shape[:2]
    step = max(1, _BLOCK_PX // max(1, width))
    return (slice(start, start + step) for start in range(0, height, step))
