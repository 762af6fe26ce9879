"""A codec of one's own domain: Fashion-MNIST mosaics, every coder on the same images at the same fidelity.

    python benchmarks/mosaics.py --minutes 12 --plot docs/images/mosaics.png --json mosaics.json
    python benchmarks/mosaics.py --minutes 0.2 --images 1        a small one

A mosaic is many items in one image, so that the headers of files decide nothing: the training ones hold 4 × 4
of the training items, the measured ones 20 × 20 of the test items. The model is that of `isthmus train
MOSAICS --recipe codec`, on one core; `--model` measures one that is there already. Rates are those of whole
files over all images, the error is taken over all pixels. Each coder is compared with the model at its
PSNR (a line through the logarithms of the two nearest rates), and by BD-rate (PCHIP) over the PSNR that both
reach.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ITEM, TRAINING, MEASURED = 28, 4, 20  # pixels of an item; items along a mosaic's side
QUALITIES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95)
OWN = (1, 15, 30, 45, 60, 75, 90, 100)
Curve = list[tuple[float, float]]


def mosaics(items: np.ndarray, side: int, *, seed: int) -> np.ndarray:
    """Items (N, 28, 28) uint8, shuffled, as (N // side², side·28, side·28)."""
    order = np.random.default_rng(seed).permutation(len(items))[: len(items) // side**2 * side**2]
    grid = items[order].reshape(-1, side, side, ITEM, ITEM)
    return grid.swapaxes(2, 3).reshape(len(grid), side * ITEM, side * ITEM)


def items_of(part: str) -> np.ndarray:
    import isthmus

    images = isthmus.read(f"fashion-mnist:{part}")
    return np.stack([np.asarray(images.image(i)).reshape(ITEM, ITEM) for i in range(len(images))])


def trained(folder: Path, out: Path, *, minutes: float, settings: list[str]) -> None:
    """Train on mosaics of the training items; `out` is resumed where it is unfinished."""
    images = folder / "mosaics"
    images.mkdir(exist_ok=True)
    for number, mosaic in enumerate(mosaics(items_of("train"), TRAINING, seed=0)):
        Image.fromarray(mosaic).save(images / f"{number:04}.png", compress_level=1)
    command = [sys.executable, "-m", "isthmus", "train", str(images), "--recipe", "codec", "-o", str(out)]
    command += ["--minutes", str(minutes), "--set", "optimiser.batch=8", "--patience", "0"]
    subprocess.run([*command, *(word for setting in settings for word in ("--set", setting))], check=True)


def pillow(kind: str, **options: Any) -> Callable[[np.ndarray, float], tuple[int, np.ndarray]]:
    def code(image: np.ndarray, quality: float) -> tuple[int, np.ndarray]:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, kind, quality=int(quality), **options)
        return stream.tell(), np.asarray(Image.open(stream).convert("L"))

    return code


def own(model: str) -> Callable[[np.ndarray, float], tuple[int, np.ndarray]]:
    import isthmus

    loaded = isthmus.load(model)

    def code(image: np.ndarray, quality: float) -> tuple[int, np.ndarray]:
        data = isthmus.compress(image, quality=quality, model=loaded)
        return len(data), isthmus.decompress(data, model=loaded)

    return code


def curve(
    code: Callable[[np.ndarray, float], tuple[int, np.ndarray]],
    images: np.ndarray,
    settings: tuple[float, ...],
) -> Curve:
    """(bits per pixel, dB) at each setting."""
    points = []
    for setting in settings:
        coded = [code(image, setting) for image in images]
        error = np.mean([(a.astype(np.float64) - b) ** 2 for a, (_, b) in zip(images, coded, strict=True)])
        bpp = 8 * sum(size for size, _ in coded) / images.size
        points.append((bpp, 10 * math.log10(255**2 / max(error, 1e-3))))
    return points


def rate_at(points: Curve, psnr: float) -> float | None:
    """Bits per pixel where a curve reaches `psnr`; None where it does not."""
    ordered = sorted(points, key=lambda point: point[1])
    if not ordered[0][1] <= psnr <= ordered[-1][1]:
        return None
    return float(np.exp(np.interp(psnr, [p for _, p in ordered], [math.log(b) for b, _ in ordered])))


def show(curves: dict[str, Curve]) -> None:
    from bd_rate import bd_rate

    from isthmus.errors import DataError

    mine = curves["isthmus"]
    marks = [mine[i] for i in (1, 3, 5, 7)]
    print("| coder |", " | ".join(f"bpp at {psnr:.1f} dB" for _, psnr in marks), "| Isthmus against it |")
    print("|---|" + "---|" * (len(marks) + 1))
    for name, points in curves.items():
        cells = []
        for _, psnr in marks:
            rate = rate_at(points, psnr)
            cells.append("–" if rate is None else f"{rate:.3f}")
        try:
            against = "" if name == "isthmus" else f"{bd_rate(mine, points):+.1f} %"
        except DataError:
            against = "–"
        print(f"| {name} | {' | '.join(cells)} | {against} |")


def draw(curves: dict[str, Curve], images: np.ndarray, coders: dict[str, Any], path: str) -> None:
    """The curves, and a corner of a mosaic as each coder gives it at about the rate of the model's second."""
    import matplotlib.pyplot as plt

    shown = [name for name in ("webp", "avif", "isthmus") if name in coders]
    figure, panels = plt.subplots(
        1, 2 + len(shown), figsize=(15, 4), layout="constrained", width_ratios=(1.5, *(1,) * (1 + len(shown)))
    )
    for name, points in curves.items():
        strong = {"linewidth": 2.5, "color": "black"} if name == "isthmus" else {"linewidth": 1.2}
        panels[0].plot(*zip(*points, strict=True), ".-", label=name, **strong)
    panels[0].set(xlabel="bits per pixel (whole files)", ylabel="PSNR, dB", xlim=(0, 2.5), ylim=(22, 42))
    panels[0].legend()
    panels[0].grid(alpha=0.3)
    corner = slice(0, 4 * ITEM)
    target = curves["isthmus"][2][0]
    views = [("original", images[0][corner, corner])]
    for name in shown:
        code, settings = coders[name]
        best = int(np.argmin([abs(math.log(bpp / target)) for bpp, _ in curves[name]]))
        bpp, psnr = curves[name][best]
        views.append(
            (f"{name}: {bpp:.2f} bpp, {psnr:.1f} dB", code(images[0], settings[best])[1][corner, corner])
        )
    for panel, (title, view) in zip(panels[1:], views, strict=True):
        panel.imshow(view, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        panel.set_title(title, fontsize=10)
        panel.axis("off")
    figure.savefig(path, dpi=90)


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--minutes", type=float, default=12, help="of training")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--model", help="measure this model instead of training one")
    parser.add_argument("--keep", help="write the trained model here")
    parser.add_argument("--images", type=int, help="measure on so many mosaics; default all 25")
    parser.add_argument("--plot", help="write curves and a corner of a mosaic to this picture")
    parser.add_argument("--json", help="write all points to this file")
    args = parser.parse_args()
    images = mosaics(items_of("test"), MEASURED, seed=0)[: args.images]
    with tempfile.TemporaryDirectory() as scratch:
        model = args.model or args.keep or str(Path(scratch) / "mosaics.safetensors")
        if args.model is None:
            trained(Path(scratch), Path(model), minutes=args.minutes, settings=args.settings)
        coders: dict[str, Any] = {
            "jpeg": (pillow("JPEG", optimize=True), QUALITIES),
            "webp": (pillow("WEBP", method=6), QUALITIES),
            "avif": (pillow("AVIF", subsampling="4:0:0"), QUALITIES),
        }
        try:
            import pillow_jxl  # noqa: F401

            coders["jpeg-xl"] = (pillow("JXL", effort=7), QUALITIES)
        except ImportError:
            print("jpeg-xl is left out: pip install pillow-jxl-plugin", file=sys.stderr)
        coders["isthmus"] = (own(model), OWN)
        curves = {name: curve(code, images, settings) for name, (code, settings) in coders.items()}
    show(curves)
    if args.json:
        Path(args.json).write_text(json.dumps(curves, indent=1) + "\n", "utf-8")
    if args.plot:
        draw(curves, images, coders, args.plot)


if __name__ == "__main__":
    main()
