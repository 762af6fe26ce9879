"""Denoise photographs with the kinds of noise that they come with: PSNR of each kind.

    python benchmarks/real_noise.py FOLDER --model real.safetensors
    python benchmarks/real_noise.py bsds500/val --images 20               what `isthmus denoise` chooses

Noise is made here, apart from the code that makes the training's noise, with a fixed seed per image and kind.
Results are 8-bit images, PSNR is over all channels.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy import ndimage

import isthmus

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Pair = tuple[Picture, Picture]  # with noise, without
Random = np.random.Generator


def to_uint8(values: Floats) -> Picture:
    return values.round().clip(0, 255).astype(np.uint8)


def jpeg(image: Picture, quality: int) -> Picture:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def white(sigma: float) -> Callable[[Picture, Random], Pair]:
    return lambda clean, random: (to_uint8(clean + sigma * random.normal(size=clean.shape)), clean)


def gray_as_rgb(clean: Picture, random: Random) -> Pair:
    gray = np.asarray(Image.fromarray(clean).convert("L"))
    noisy = to_uint8(gray + 25 * random.normal(size=gray.shape))
    return np.repeat(noisy[..., None], 3, 2), np.repeat(gray[..., None], 3, 2)


def correlated(share: float, sigma: float) -> Callable[[Picture, Random], Pair]:
    def make(clean: Picture, random: Random) -> Pair:
        common = random.normal(size=(*clean.shape[:2], 1))
        own = random.normal(size=clean.shape)
        return to_uint8(clean + sigma * (share**0.5 * common + (1 - share) ** 0.5 * own)), clean

    return make


def photons(peak: float, floor: float) -> Callable[[Picture, Random], Pair]:
    def make(clean: Picture, random: Random) -> Pair:
        counts = random.poisson(clean / 255 * peak) * (255 / peak)
        return to_uint8(counts + floor * random.normal(size=clean.shape)), clean

    return make


def then_jpeg(sigma: float, quality: int) -> Callable[[Picture, Random], Pair]:
    return lambda clean, random: (jpeg(white(sigma)(clean, random)[0], quality), clean)


def before_jpeg(sigma: float, quality: int) -> Callable[[Picture, Random], Pair]:
    return lambda clean, random: (white(sigma)(jpeg(clean, quality), random)[0], clean)


def filtered(sigma: float, radius: float) -> Callable[[Picture, Random], Pair]:
    def make(clean: Picture, random: Random) -> Pair:
        field = ndimage.gaussian_filter(random.normal(size=clean.shape), (radius, radius, 0), mode="mirror")
        return to_uint8(clean + sigma * field / field.std()), clean

    return make


def demosaiced(clean: Picture, random: Random) -> Pair:
    """A Bayer sensor's values of the image with noise, and without, interpolated bilinearly."""
    rows, columns = np.indices(clean.shape[:2]) % 2
    filter_masks = np.stack([(rows == 0) & (columns == 0), rows != columns, (rows == 1) & (columns == 1)], -1)
    tent = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4.0

    def interpolate(values: Floats) -> Floats:
        planes = []
        for channel in range(3):
            weights = filter_masks[..., channel].astype(float)
            total = ndimage.convolve(values[..., channel] * weights, tent, mode="mirror")
            planes.append(total / ndimage.convolve(weights, tent, mode="mirror"))
        return np.stack(planes, -1)

    sharp = clean.astype(float)
    return to_uint8(interpolate(sharp + 20 * random.normal(size=clean.shape))), to_uint8(interpolate(sharp))


def enlarged(clean: Picture, random: Random) -> Pair:
    size = (clean.shape[1] // 2 * 2, clean.shape[0] // 2 * 2)
    small = np.asarray(Image.fromarray(clean).resize((size[0] // 2, size[1] // 2), Image.Resampling.LANCZOS))
    noisy = white(25)(small, random)[0]
    noisy, soft = (
        np.asarray(Image.fromarray(a).resize(size, Image.Resampling.BICUBIC)) for a in (noisy, small)
    )
    return noisy, soft


def rows(clean: Picture, random: Random) -> Pair:
    bands = random.normal(size=(len(clean), 1, 1))
    return to_uint8(clean + 12 * bands + 12 * random.normal(size=clean.shape)), clean


def half(clean: Picture, random: Random) -> Pair:
    noisy = white(25)(clean, random)[0]
    noisy[:, : clean.shape[1] // 2] = clean[:, : clean.shape[1] // 2]
    return noisy, clean


KINDS: dict[str, Callable[[Picture, Random], Pair]] = {
    "white 10": white(10),
    "white 25": white(25),
    "white 50": white(50),
    "gray as RGB 25": gray_as_rgb,
    "correlated .5, 25": correlated(0.5, 25),
    "correlated .9, 15": correlated(0.9, 15),
    "photons 60": photons(60, 2),
    "photons 400": photons(400, 2),
    "25, JPEG 75": then_jpeg(25, 75),
    "15, JPEG 90": then_jpeg(15, 90),
    "JPEG 80, 15": before_jpeg(15, 80),
    "filtered .7, 15": filtered(15, 0.7),
    "demosaiced 20": demosaiced,
    "enlarged ×2, 25": enlarged,
    "rows 12 + 12": rows,
    "half 25": half,
    "clean": white(0),
    "JPEG 85 only": before_jpeg(0, 85),
}


def psnr(a: Picture, b: Picture) -> float:
    error = float(np.square(a.astype(float) - b).mean())
    return float(10 * np.log10(255**2 / max(error, 255**2 * 1e-6)))  # 60 dB where equal


def measure(
    images: list[Picture], restore: Callable[[Picture], Picture], kinds: list[str]
) -> dict[str, tuple[float, float]]:
    """Kind → mean PSNR with noise, and restored."""
    results = {}
    for name in kinds:
        values = []
        for index, image in enumerate(images):
            noisy, clean = KINDS[name](image, np.random.default_rng([index, list(KINDS).index(name)]))
            values.append((psnr(noisy, clean), psnr(restore(noisy), clean)))
        results[name] = tuple(float(v) for v in np.mean(values, 0))
    return results  # type: ignore[return-value]


def read(folder: Path, count: int | None, side: int | None) -> list[Picture]:
    """`count` images, evenly chosen, each its middle part of at most `side` pixels."""
    paths = sorted(p for p in folder.iterdir() if p.suffix in (".png", ".jpg"))
    if count is not None and count < len(paths):
        paths = [paths[i] for i in np.linspace(0, len(paths) - 1, count).round().astype(int)]
    images = []
    for path in paths:
        image = np.asarray(Image.open(path).convert("RGB"))
        if side is not None:
            top, left = (max(0, (n - side) // 2) for n in image.shape[:2])
            image = image[top : top + side, left : left + side]
        images.append(np.ascontiguousarray(image))
    return images


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", help="a model file or a shipped model; by default what `denoise` chooses")
    parser.add_argument("--images", type=int, help="only so many, evenly chosen")
    parser.add_argument("--side", type=int, help="only the middle of each, of so many pixels")
    parser.add_argument("--kinds", help="names separated by ';'; all by default")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    kinds = arguments.kinds.split(";") if arguments.kinds else list(KINDS)
    images = read(arguments.folder, arguments.images, arguments.side)
    began = time.perf_counter()
    results = measure(images, lambda noisy: isthmus.denoise(noisy, model=arguments.model), kinds)
    seconds = time.perf_counter() - began
    for name, (before, after) in results.items():
        print(f"{name:20} {before:6.2f} → {after:6.2f}")
    mean = np.mean([after for _, after in results.values()])
    print(f"{'mean':20} {mean:15.2f}   {len(images)} images, {seconds:.0f} s")
    if arguments.json is not None:
        record: dict[str, Any] = {"folder": arguments.folder.name, "images": len(images), "kinds": results}
        arguments.json.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
