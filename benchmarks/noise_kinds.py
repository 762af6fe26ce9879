"""Noise of many kinds and in many kinds of images: what `isthmus denoise` finds, chooses and gains.

    python benchmarks/noise_kinds.py bsds500/val --images 6
    python benchmarks/noise_kinds.py bsds500/val --images 6 --model photo-denoise-real

Kinds of noise are those of `real_noise.py`; added are images of which a part carries no noise (letterbox,
border, blown-out sky, round field, transparent half) and uint16 images that use a part of their range. PSNR
is taken over the part with noise, in units of the range that is used; seeds are fixed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from real_noise import KINDS, Picture, Random, correlated, read, then_jpeg, white

from isthmus.restoration.denoising import denoise_image

Array = npt.NDArray[Any]
Case = tuple[Array, Array, Array]  # the image as it is given; its clean samples; where they are compared


def compare_everywhere(
    make: Callable[[Picture, Random], tuple[Picture, Picture]],
) -> Callable[[Picture, Random], Case]:
    def case(clean: Picture, random: Random) -> Case:
        noisy, target = make(clean, random)
        return noisy, target, np.ones(clean.shape[:2], bool)

    return case


def with_flat(where: Callable[[int, int], Array], value: int) -> Callable[[Picture, Random], Case]:
    """White noise of σ 25; `where(height, width)` is flat."""

    def case(clean: Picture, random: Random) -> Case:
        flat = where(*clean.shape[:2])
        noisy = white(25)(clean, random)[0]
        noisy[flat] = value
        return noisy, clean, ~flat

    return case


def letterbox(height: int, width: int) -> Array:
    rows = np.arange(height)[:, None]
    return np.broadcast_to((rows < height // 6) | (rows >= height - height // 6), (height, width))


def border(height: int, width: int) -> Array:
    rows, columns = np.indices((height, width))
    inside = np.minimum(np.minimum(rows, height - 1 - rows), np.minimum(columns, width - 1 - columns))
    return inside < min(height, width) // 8


def sky(height: int, width: int) -> Array:
    return np.broadcast_to(np.arange(height)[:, None] < height // 2, (height, width))


def outside_circle(height: int, width: int) -> Array:
    rows, columns = np.indices((height, width))
    return np.hypot(rows - height / 2, columns - width / 2) > 0.45 * min(height, width)


def transparent_half(clean: Picture, random: Random) -> Case:
    noisy = white(25)(clean, random)[0]
    half = clean.shape[1] // 2
    alpha = np.full(clean.shape[:2], 255, np.uint8)
    alpha[:, half:] = 0
    noisy[:, half:] = 255
    return np.dstack([noisy, alpha]), clean, alpha > 0


def uint16(scale: int) -> Callable[[Picture, Random], Case]:
    def case(clean: Picture, random: Random) -> Case:
        gray = clean.astype(float) @ (0.299, 0.587, 0.114)
        noisy = gray + 25 * random.normal(size=gray.shape)
        deep = (noisy * scale).round().clip(0, 65535).astype(np.uint16)
        return deep, gray * scale, np.ones(gray.shape, bool)

    return case


CASES: dict[str, Callable[[Picture, Random], Case]] = {
    **{name: compare_everywhere(make) for name, make in KINDS.items()},
    "correlated .3, 40": compare_everywhere(correlated(0.3, 40)),
    "10, JPEG 60": compare_everywhere(then_jpeg(10, 60)),
    "letterbox 25": with_flat(letterbox, 0),
    "border 25": with_flat(border, 255),
    "blown-out sky 25": with_flat(sky, 255),
    "round field 25": with_flat(outside_circle, 0),
    "transparent half 25": transparent_half,
    "uint16, 8 bits, 25": uint16(1),
    "uint16, 10 bits, 25": uint16(4),
    "uint16, 16 bits, 25": uint16(257),
}


def psnr(image: Array, clean: Array, where: Array) -> float:
    peak = 255.0 * max(1.0, float(np.asarray(clean).max()) // 256)  # of uint16 the range that is used
    peak = 255.0 if image.dtype == np.uint8 else peak
    error = float(np.square(image[where].astype(float) - clean[where]).mean())
    return float(10 * np.log10(peak**2 / max(error, peak**2 * 1e-6)))  # 60 dB where equal


def measure(images: list[Picture], names: list[str], model: str | None) -> dict[str, dict[str, Any]]:
    """Name → PSNR before and after, σ found, and how often each model was chosen."""
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        values, models = [], Counter[str]()
        for index, image in enumerate(images):
            random = np.random.default_rng([index, list(CASES).index(name)])
            noisy, clean, where = CASES[name](image, random)
            restored, (plan,) = denoise_image(noisy, model=model)
            before, after = (a[..., :3] if a.ndim == 3 else a for a in (noisy, restored))
            values.append((psnr(before, clean, where), psnr(after, clean, where), plan.sigma * plan.gain))
            models[(plan.model or "given").removeprefix("photo-denoise-")] += 1
        before, after, sigma = (float(v) for v in np.mean(values, 0))
        results[name] = {"before": before, "after": after, "sigma": sigma, "models": dict(models)}
        chosen = ", ".join(f"{count}× {name_of_model}" for name_of_model, count in models.items())
        print(f"{name:20} {before:6.2f} → {after:6.2f}   σ {sigma:5.1f}   {chosen}", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", help="a model file or a shipped model; by default what is chosen")
    parser.add_argument("--images", type=int, default=6, help="only so many, evenly chosen")
    parser.add_argument("--side", type=int, default=256, help="only the middle of each, of so many pixels")
    parser.add_argument("--kinds", help="names separated by ';'; all by default")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = arguments.kinds.split(";") if arguments.kinds else list(CASES)
    images = read(arguments.folder, arguments.images, arguments.side)
    began = time.perf_counter()
    results = measure(images, names, arguments.model)
    mean = np.mean([row["after"] for row in results.values()])
    print(f"mean {mean:.2f} dB, {len(images)} images, {time.perf_counter() - began:.0f} s")
    if arguments.json is not None:
        record = {"folder": arguments.folder.name, "images": len(images), "kinds": results}
        arguments.json.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
