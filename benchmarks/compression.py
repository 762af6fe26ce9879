"""Files of a codec model beside JPEG, WebP, JPEG 2000, AVIF and JPEG XL: bits per pixel at equal quality.

    python benchmarks/compression.py FOLDER                        the shipped photo model
    python benchmarks/compression.py FOLDER --model mine.safetensors --plot curves.png --json table.json

With --json, coders that the file already holds for the same images are not run again; the model always is.

Every rate is that of whole files as they would lie on a disk. A curve is the mean over all images at one
setting of the coder after another; BD-rates (PCHIP) compare curves between 0.15 and 1.2 bits per pixel.
Images are taken as RGB. Each coder runs in a process of its own, one image at a time; its peak memory is
measured in another that codes the largest image once. JPEG XL needs the package pillow-jxl-plugin.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import io
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

BETWEEN = (0.15, 1.2)
QUALITIES = (5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 88, 93)
REFERENCES = ("jpeg", "webp", "avif")  # that BD-rates are given against
BPP = (0.1, 0.15, 0.2, 0.3, 0.45, 0.6, 0.8, 1.1, 1.5, 2.0)

Encode = Callable[[np.ndarray, float], bytes]
Decode = Callable[[bytes], np.ndarray]


@dataclass(frozen=True)
class Coder:
    """`encode(image (H, W, 3) uint8, setting) -> file`, for every one of `settings`, and back."""

    encode: Encode
    decode: Decode
    settings: tuple[float, ...]


def pillow(kind: str, settings: tuple[float, ...], options: Callable[[float], dict[str, Any]]) -> Coder:
    def encode(image: np.ndarray, setting: float) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, kind, **options(setting))
        return stream.getvalue()

    def decode(data: bytes) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    return Coder(encode, decode, settings)


def isthmus_coder(model: str | None, effort: int = 0) -> Coder:
    import isthmus

    given = None if model is None else isthmus.load(model)

    def encode(image: np.ndarray, setting: float) -> bytes:
        return isthmus.compress(image, quality=setting, model=given, effort=effort)

    def decode(data: bytes) -> np.ndarray:
        return np.asarray(isthmus.decompress(data, model=given))

    return Coder(encode, decode, (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100))


def build(name: str, model: str | None) -> Coder:
    match name:
        case "jpeg":
            return pillow(
                "JPEG", QUALITIES, lambda q: {"quality": int(q), "optimize": True, "subsampling": 2}
            )
        case "jpeg-444":
            return pillow(
                "JPEG", QUALITIES, lambda q: {"quality": int(q), "optimize": True, "subsampling": 0}
            )
        case "webp":
            return pillow("WEBP", QUALITIES, lambda q: {"quality": int(q), "method": 6})
        case "jpeg2000":
            # Asked for as the ratio to the 24 bits of a pixel.
            return pillow(
                "JPEG2000",
                BPP,
                lambda b: {
                    "quality_mode": "rates",
                    "quality_layers": [24 / b],
                    "irreversible": True,
                    "mct": 1,
                },
            )
        case "avif":
            return pillow("AVIF", QUALITIES, lambda q: {"quality": int(q)})
        case "avif-444":
            return pillow("AVIF", QUALITIES, lambda q: {"quality": int(q), "subsampling": "4:4:4"})
        case "jpeg-xl":
            importlib.import_module("pillow_jxl")
            return pillow("JXL", QUALITIES, lambda q: {"quality": int(q), "effort": 7})
        case "isthmus-effort":
            return isthmus_coder(model, effort=5)
        case _:
            return isthmus_coder(model)


CODERS = ("jpeg", "jpeg-444", "webp", "jpeg2000", "avif", "avif-444", "jpeg-xl", "isthmus", "isthmus-effort")


# ------------------------------------------------------------ one coder, in a process of its own


def images_in(folder: Path, count: int | None) -> list[Path]:
    from isthmus.images.listing import list_images

    return [file.path for file in list_images(folder).files][:count]


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def measure(coder: Coder, paths: list[Path]) -> list[dict[str, float]]:
    """One row of means over the images for each setting."""
    import torch

    from isthmus.metrics.structure import ms_ssim, ms_ssim_possible

    torch.set_num_threads(1)
    rows = []
    for setting in coder.settings:
        scores: dict[str, list[float]] = {
            key: [] for key in ("bytes", "bpp", "psnr", "ms_ssim", "encode", "decode")
        }
        pixels = 0
        for path in paths:
            image = read(path)
            start = time.perf_counter()
            data = coder.encode(image, setting)
            middle = time.perf_counter()
            again = coder.decode(data)
            end = time.perf_counter()
            area = image.shape[0] * image.shape[1]
            pixels += area
            error = np.mean((image.astype(np.float64) - again) ** 2)
            scores["bytes"].append(len(data))
            scores["bpp"].append(8 * len(data) / area)
            scores["psnr"].append(10 * math.log10(255**2 / max(error, 1e-3)))
            scores["encode"].append(middle - start)
            scores["decode"].append(end - middle)
            if ms_ssim_possible(*image.shape[:2]):
                pair = [
                    torch.from_numpy(a.copy()).permute(2, 0, 1)[None].float() / 255 for a in (image, again)
                ]
                scores["ms_ssim"].append(float(ms_ssim(pair[1], pair[0])))
        row = {key: float(np.mean(values)) for key, values in scores.items() if values}
        row |= {"setting": setting, "pixels": pixels / len(paths)}
        rows.append(row)
        print(f"  {setting:g}: {row['bpp']:.3f} bpp, {row['psnr']:.2f} dB", file=sys.stderr, flush=True)
    return rows


def peak(coder: Callable[[], Coder], paths: list[Path]) -> float | None:
    """MB by which coding the largest image once, both ways, raises the process's peak memory."""
    if importlib.util.find_spec("resource") is None:
        return None
    import resource

    def most() -> int:
        used: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used

    image = read(max(paths, key=lambda path: math.prod(Image.open(path).size)))
    before = most()
    made = coder()
    made.decode(made.encode(image, made.settings[len(made.settings) // 2]))
    per_unit = 2**20 if sys.platform == "darwin" else 2**10
    return (most() - before) / per_unit


# ------------------------------------------------------------ all of them, compared


def run_all(args: argparse.Namespace) -> dict[str, Any]:
    pictures = [str(path) for path in images_in(args.folder, args.images)]
    results = earlier(args.json, pictures)
    for name in args.coders.split(","):
        if name in results and name != "isthmus":
            continue
        if name == "jpeg-xl" and importlib.util.find_spec("pillow_jxl") is None:
            print("jpeg-xl is left out: pip install 'isthmus[bench]'", file=sys.stderr)
            continue
        print(name, file=sys.stderr, flush=True)
        command = [sys.executable, __file__, str(args.folder), "--one", name]
        command += ["--model", args.model] if args.model else []
        command += ["--images", str(args.images)] if args.images else []
        outputs = [
            json.loads(subprocess.run([*command, *extra], check=True, stdout=subprocess.PIPE).stdout)
            for extra in ((), ("--peak",))
        ]
        results[name] = {"points": outputs[0], "peak_mb": outputs[1]}
        if args.json:
            Path(args.json).write_text(json.dumps({"images": pictures, "coders": results}, indent=1), "utf-8")
    for entry in results.values():
        entry["bd_rate"] = {
            f"{measured} against {other}": compared(entry["points"], results[other]["points"], measured)
            for other in REFERENCES
            if other in results
            for measured in ("psnr", "ms_ssim")
        }
    return results


def earlier(path: str | None, pictures: list[str]) -> dict[str, Any]:
    """What an earlier run found for the same images."""
    if path is None or not Path(path).exists():
        return {}
    table = json.loads(Path(path).read_text("utf-8"))
    coders: dict[str, Any] = table["coders"] if table["images"] == pictures else {}
    return coders


def compared(
    points: list[dict[str, float]], reference: list[dict[str, float]], measured: str
) -> float | None:
    from bd_rate import bd_rate

    def curve(rows: list[dict[str, float]]) -> list[tuple[float, float]]:
        # MS-SSIM in decibels of what is missing to 1, where its curve is as even as that of PSNR.
        return [
            (row["bpp"], row["psnr"] if measured == "psnr" else -10 * math.log10(1 - row["ms_ssim"]))
            for row in rows
        ]

    if any(measured not in row for row in points + reference):
        return None
    try:
        return bd_rate(curve(points), curve(reference), between=BETWEEN)
    except ValueError:
        return None


def show(results: dict[str, Any]) -> None:
    def percent(value: float | None) -> str:
        return "–" if value is None else f"{value:+.1f} %"

    def speed(rows: list[dict[str, float]], key: str) -> str:
        return f"{np.mean([row['pixels'] / row[key] for row in rows]) / 1e6:.2f}"

    print("BD-rate between 0.15 and 1.2 bpp; megapixels per second on one thread; MB for the largest image")
    print("| coder | PSNR against JPEG | WebP | AVIF | MS-SSIM against JPEG | WebP | AVIF", end=" ")
    print("| encode | decode | MB |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, entry in results.items():
        bd, rows = entry["bd_rate"], entry["points"]
        cells = [
            percent(bd.get(f"{measured} against {other}"))
            for measured in ("psnr", "ms_ssim")
            for other in REFERENCES
        ]
        memory = "–" if entry["peak_mb"] is None else f"{entry['peak_mb']:.0f}"
        print(f"| {name} | {' | '.join([*cells, speed(rows, 'encode'), speed(rows, 'decode'), memory])} |")


def draw(results: dict[str, Any], path: str) -> None:
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for panel, key, label in zip(panels, ("psnr", "ms_ssim"), ("PSNR (RGB), dB", "MS-SSIM"), strict=True):
        for name, entry in results.items():
            rows = [row for row in entry["points"] if key in row]
            strong = {"linewidth": 2.5, "color": "black"} if name == "isthmus" else {"linewidth": 1.2}
            panel.plot([r["bpp"] for r in rows], [r[key] for r in rows], ".-", label=name, **strong)
        panel.set(xlabel="bits per pixel (whole files)", ylabel=label, xlim=(0, 1.6))
        panel.grid(alpha=0.3)
    panels[0].set_ylim(24, 40)
    panels[1].set_ylim(0.88, 1)
    panels[0].legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", help="a codec model; default: the shipped one")
    parser.add_argument("--coders", default=",".join(CODERS), help="which, with commas between")
    parser.add_argument("--images", type=int, help="only the first so many images")
    parser.add_argument("--plot", help="write the curves to this picture")
    parser.add_argument("--json", help="write all points to this file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        paths = images_in(args.folder, args.images)
        result = (
            peak(lambda: build(args.one, args.model), paths)
            if args.peak
            else measure(build(args.one, args.model), paths)
        )
        print(json.dumps(result))
        return
    results = run_all(args)
    show(results)
    if args.plot:
        draw(results, args.plot)


if __name__ == "__main__":
    main()
