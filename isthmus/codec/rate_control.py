"""A picture and a target (quality, bits per pixel or PSNR) -> bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from isthmus.codec.encoding import QUALITIES, EncodedFile, analyse_picture, encode_picture_at
from isthmus.codec.fidelity import measure_psnr
from isthmus.codec.picture import Picture
from isthmus.codec.ready import Codec
from isthmus.errors import UsageError
from isthmus.messages import Message

DEFAULT_QUALITY = 50.0
MAX_PROBES = 8
MAX_FLAT_DEVIATION = 2.0  # of 255: below it an image is flat: its error is that of its rounded mean
FLAT_QUALITIES: tuple[int, ...] = (100, *range(1000, 10_001, 1000))  # hundredths
MAX_FLAT_SIDE_PX = 512  # of the part by which a quality is chosen
TOLERANCE = 0.004  # of the logarithm of a rate, or of dB / 10: near enough to stop


def encode_picture(
    image: Picture,
    codec: Codec,
    *,
    quality: float | None = None,
    bpp: float | None = None,
    psnr: float | None = None,
    preview: int | None = None,
    effort: int = 0,
) -> EncodedFile:
    """The bytes of a picture at a quality, or at the quality that gives a rate or a fidelity.

    Args:
        image: the picture.
        codec: what codes it.
        quality, bpp, psnr, preview, effort: as for `isthmus.compress`.

    Returns:
        The bytes, with the quality found; where no quality reaches the target, those of the nearest one, with
        what they reach.
    """
    if bpp is None and psnr is None:
        hundredths = round(100 * (DEFAULT_QUALITY if quality is None else quality))
        step = _best_flat_quality(image, codec, hundredths) if _is_flat(image) else hundredths
        encoded = encode_picture_at(image, codec, step, preview=preview, effort=effort)
        return EncodedFile(encoded.data, hundredths)
    # Refined latents belong to one quality; the encoder's own do for all.
    latents = None if effort else list(analyse_picture(image, codec))

    def make(hundredths: int) -> EncodedFile:
        return encode_picture_at(image, codec, hundredths, preview=preview, latents=latents, effort=effort)

    if bpp is not None:
        pixels = image.size[0] * image.size[1]

        def measure_rate(file: EncodedFile) -> float:
            return 8 * len(file.data) / pixels

        encoded = _encode_within(make, measure_rate, bpp)
        rate = measure_rate(encoded)
        if rate <= bpp:
            return encoded
        return replace(
            encoded,
            missed=Message(
                "{asked:g} bits per pixel cannot be reached: its smallest file has {reached:.4g}",
                id="codec.rate-missed",
                asked=bpp,
                reached=rate,
            ),
        )
    assert psnr is not None
    measured: dict[int, float] = {}

    def measure_fidelity(file: EncodedFile) -> float:
        measured[file.quality] = measure_psnr(file.data, image, codec)
        return measured[file.quality]

    encoded = _encode_reaching(make, measure_fidelity, psnr)
    reached = measured[encoded.quality]
    if reached >= psnr:
        return replace(encoded, psnr=reached)
    return replace(
        encoded,
        psnr=reached,
        missed=Message(
            "{asked:g} dB cannot be reached: its best file has {reached:.2f} dB",
            id="codec.fidelity-missed",
            asked=psnr,
            reached=reached,
        ),
    )


def _is_flat(image: Picture) -> bool:
    return bool((image.pixels.std((0, 1), dtype=np.float32) < MAX_FLAT_DEVIATION).all())


def _best_flat_quality(image: Picture, codec: Codec, at_most: int) -> int:
    """The quality, of some up to the one that is asked for, that keeps a flat image best.

    Finer steps may round the few numbers of a flat image to a worse mean than coarser steps do. With the best
    of all coarser qualities, fidelity never falls as quality rises.
    """
    part = Picture(image.pixels[:MAX_FLAT_SIDE_PX, :MAX_FLAT_SIDE_PX])
    latents = list(analyse_picture(part, codec))

    def measure(quality: int) -> float:
        return measure_psnr(encode_picture_at(part, codec, quality, latents=latents).data, part, codec)

    best: int = max((step for step in FLAT_QUALITIES if step <= at_most), key=measure)
    return best


def check_target(
    quality: float | None,
    bpp: float | None,
    psnr: float | None,
    preview: int | None = None,
    effort: int | None = None,
) -> None:
    """Raises:
    UsageError: more than one of them, or one out of range.
    """
    targets = [
        name for name, value in (("quality", quality), ("bpp", bpp), ("psnr", psnr)) if value is not None
    ]
    if len(targets) > 1:
        raise UsageError(
            "{first} and {second} cannot be given together; choose one",
            id="codec.two-targets",
            first=targets[0],
            second=targets[1],
        )
    for name, value, low, high in (
        ("quality", quality, 1, 100),
        ("bpp", bpp, 0.001, 100),
        ("psnr", psnr, 5, 100),
        ("preview", preview, 16, 1024),
        ("effort", effort, 0, 100),
    ):
        if value is not None and not low <= value <= high:
            raise UsageError(
                "{name} {value:g} is out of range: it runs from {low:g} to {high:g}",
                id="codec.target-range",
                name=name,
                value=value,
                low=low,
                high=high,
            )


def _encode_within(
    make: Callable[[int], EncodedFile], measure: Callable[[EncodedFile], float], limit: float
) -> EncodedFile:
    """The file of the highest quality found whose `measure`, a rate, is at most `limit`.

    Where even the lowest quality is above the limit, its file. The logarithm of a rate is nearly linear in
    quality, so the next probe is where a line through the last two bounds meets the limit (regula falsi, with
    the Illinois correction: Dowell and Jarratt 1971).
    """
    return _search_quality(make, lambda file: math.log(measure(file) / limit), best_below=True)


def _encode_reaching(
    make: Callable[[int], EncodedFile], measure: Callable[[EncodedFile], float], limit: float
) -> EncodedFile:
    """The file of the lowest quality found whose `measure`, in dB, is at least `limit`.

    Where even the highest quality stays below, its file.
    """
    return _search_quality(make, lambda file: (measure(file) - limit) / 10, best_below=False)


def _search_quality(
    make: Callable[[int], EncodedFile], excess: Callable[[EncodedFile], float], *, best_below: bool
) -> EncodedFile:
    low, high = QUALITIES
    middle = make((low + high) // 2)
    at = excess(middle)
    bounds: dict[bool, tuple[EncodedFile, float] | None] = {True: None, False: None}
    bounds[at <= 0] = (middle, at)
    # First the bound on the other side of the middle, then between the two.
    edge = make(high if at <= 0 else low)
    at_edge = excess(edge)
    if (at_edge <= 0) == (at <= 0):
        return edge
    bounds[at_edge <= 0] = (edge, at_edge)
    below, above = bounds[True], bounds[False]
    assert below is not None and above is not None
    pull_low, pull_high = below[1], above[1]
    for _ in range(MAX_PROBES):
        (a, x), (b, y) = below, above
        if b.quality - a.quality <= 1 or (abs(x) < TOLERANCE if best_below else 0 <= y < TOLERANCE):
            break
        share = pull_low / (pull_low - pull_high) if pull_low != pull_high else 0.5
        quality = round(a.quality + min(max(share, 0.02), 0.98) * (b.quality - a.quality))
        probe = make(min(max(quality, a.quality + 1), b.quality - 1))
        value = excess(probe)
        if value <= 0:
            below, pull_low, pull_high = (probe, value), value, pull_high / 2
        else:
            above, pull_high, pull_low = (probe, value), value, pull_low / 2
    return below[0] if best_below or (below[1] == 0) else above[0]
