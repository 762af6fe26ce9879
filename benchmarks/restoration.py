"""Denoising and inpainting beside the classical methods, in one run on the same images with the same noise.

    python benchmarks/restoration.py FOLDER                        σ 15, 25, 50, and five kinds of mask
    python benchmarks/restoration.py bsds500/val --bsd68 --gray    the 68 images of the literature
    python benchmarks/restoration.py FOLDER --images 4 --strip seen.png
    python benchmarks/restoration.py TUNE --tune                   parameters of the classical methods

The protocol is that of the literature: additive white Gaussian noise, float, not clipped, seed 0; PSNR of the
result clipped to [0, 1], averaged over images. Inpainting is measured on the whole image, known pixels
included. scikit-image, OpenCV and bm3d are used where they are installed (extra `bench`). Their parameters
were tuned on images that are measured nowhere. One thread each; times are per image.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

import isthmus
from isthmus.images.write import save_image
from isthmus.measures.structure import ssim
from isthmus.model.autoencoder import Autoencoder
from isthmus.restore.models import find

Array = npt.NDArray[np.float32]
Denoiser = Callable[[Array, float], npt.NDArray[Any]]
Inpainter = Callable[[Array, npt.NDArray[np.bool_]], npt.NDArray[Any]]

# The test set of Roth and Black (2009), "Fields of experts", by the names of the Berkeley images.
BSD68 = (
    101085, 101087, 102061, 103070, 105025, 106024, 108005, 108070, 108082, 109053, 119082, 12084, 123074,
    126007, 130026, 134035, 14037, 143090, 145086, 147091, 148026, 148089, 157055, 159008, 160068, 16077,
    163085, 167062, 167083, 170057, 175032, 175043, 182053, 189080, 19021, 196073, 197017, 208001, 210088,
    21077, 216081, 219090, 220075, 223061, 227092, 229036, 236037, 24077, 241004, 241048, 253027, 253055,
    260058, 271035, 285079, 291000, 295087, 296007, 296059, 299086, 300091, 302008, 304034, 304074, 306005,
    3096, 33039, 351093,
)  # fmt: skip


# Factors of σ (of 1) and others, tuned on held-out pieces by `--tune` at σ 25.
NLM_H, TV_WEIGHT, CV2_H = 0.8, 0.9, 0.9
RADIUS = 3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bsd68", action="store_true")
    parser.add_argument("--gray", action="store_true")
    parser.add_argument("--images", type=int, help="only so many, evenly chosen")
    parser.add_argument("--only", choices=["denoise", "inpaint"])
    parser.add_argument("--sigmas", default="15,25,50")
    parser.add_argument("--methods", help="names, separated by commas; all by default")
    parser.add_argument("--model", help="another than the shipped one")
    parser.add_argument("--strip", type=Path, help="a picture of the first image under every method")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--tune", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images = list(read(arguments.folder, arguments))
    print(f"{len(images)} images of {arguments.folder}")
    if arguments.tune:
        tune(images)
        return
    model = None if arguments.model is None else find(arguments.model)
    wanted = arguments.methods.split(",") if arguments.methods else None
    found: dict[str, Any] = {"images": len(images), "folder": arguments.folder.name}
    if arguments.only != "inpaint":
        methods = {k: v for k, v in denoisers(model).items() if wanted is None or k in wanted}
        found["denoise"] = denoising(
            images, methods, [float(s) for s in arguments.sigmas.split(",")], arguments
        )
    if arguments.only != "denoise":
        fillers = {k: v for k, v in inpainters(model).items() if wanted is None or k in wanted}
        found["inpaint"] = inpainting(images, fillers, arguments)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


def read(folder: Path, arguments: argparse.Namespace) -> Iterator[Array]:
    """`(H, W)` or `(H, W, 3)` float32 in [0, 1]."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".tif"))
    if arguments.bsd68:
        paths = [p for p in paths if p.stem.isdecimal() and int(p.stem) in BSD68]
        assert len(paths) == 68, f"{len(paths)} of the 68 images are here"
    if arguments.images is not None and arguments.images < len(paths):
        paths = [paths[i] for i in np.linspace(0, len(paths) - 1, arguments.images).round().astype(int)]
    for path in paths:
        with Image.open(path) as image:
            gray = arguments.gray or image.mode == "L"
            yield np.asarray(image.convert("L" if gray else "RGB"), dtype=np.float32) / 255


# ------------------------------------------------------------ methods


def denoisers(model: Autoencoder | None) -> dict[str, Denoiser]:
    """By name; σ comes in units of 1/255."""
    methods: dict[str, Denoiser] = {
        "isthmus": lambda image, sigma: isthmus.denoise(image, sigma, model),
        "isthmus, σ estimated": lambda image, _: isthmus.denoise(image, None, model),
    }
    if find_spec("skimage"):
        methods |= {"NLM": nlm, "TV": total_variation, "wavelet": wavelet}
    if find_spec("cv2"):
        methods["cv2 NLM"] = cv2_nlm
    if find_spec("bm3d"):
        methods["BM3D"] = block_matching
    return methods


def nlm(image: Array, sigma: float, h: float = NLM_H) -> npt.NDArray[Any]:
    from skimage.restoration import denoise_nl_means

    axis = -1 if image.ndim == 3 else None
    s = sigma / 255
    return denoise_nl_means(
        image, patch_size=5, patch_distance=6, h=h * s, sigma=s, fast_mode=True, channel_axis=axis
    )


def total_variation(image: Array, sigma: float, weight: float = TV_WEIGHT) -> npt.NDArray[Any]:
    from skimage.restoration import denoise_tv_chambolle

    axis = -1 if image.ndim == 3 else None
    return denoise_tv_chambolle(image, weight=weight * sigma / 255, channel_axis=axis)


def wavelet(image: Array, sigma: float) -> npt.NDArray[Any]:
    from skimage.restoration import denoise_wavelet

    axis = -1 if image.ndim == 3 else None
    return denoise_wavelet(image, sigma=sigma / 255, method="BayesShrink", mode="soft", channel_axis=axis)


def cv2_nlm(image: Array, sigma: float, h: float = CV2_H) -> npt.NDArray[Any]:
    import cv2

    levels = (image.clip(0, 1) * 255).round().astype(np.uint8)
    if image.ndim == 3:
        return cv2.fastNlMeansDenoisingColored(levels, None, h * sigma, h * sigma, 7, 21) / np.float32(255)
    return cv2.fastNlMeansDenoising(levels, None, h * sigma, 7, 21) / np.float32(255)


def block_matching(image: Array, sigma: float) -> npt.NDArray[Any]:
    import bm3d

    return (bm3d.bm3d_rgb if image.ndim == 3 else bm3d.bm3d)(image, sigma / 255)


def inpainters(model: Autoencoder | None) -> dict[str, Inpainter]:
    methods: dict[str, Inpainter] = {
        "isthmus": lambda image, mask: isthmus.inpaint(image, mask, model),
        "cubic": cubic,
        "harmonic": harmonic,
    }
    if find_spec("cv2"):
        methods |= {"cv2 Telea": telea, "cv2 NS": navier_stokes}
    return methods


def _by_plane(image: Array, mask: npt.NDArray[np.bool_], fill: Inpainter) -> npt.NDArray[Any]:
    if image.ndim == 2:
        return fill(image, mask)
    return np.stack([fill(image[..., c], mask) for c in range(image.shape[2])], -1)


def cubic(image: Array, mask: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Piecewise cubic on triangles (scipy's griddata); nearest outside of the known pixels' hull."""
    from scipy.interpolate import griddata

    known, missing = np.argwhere(~mask), np.argwhere(mask)

    def plane(values: Array, _: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
        out = values.copy()
        found = griddata(known, values[~mask], missing, method="cubic")
        near = griddata(known, values[~mask], missing, method="nearest")
        out[mask] = np.where(np.isfinite(found), found, near)
        return out

    return _by_plane(image, mask, plane)


def harmonic(image: Array, mask: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Every missing pixel is the mean of its neighbours (Laplace's equation, mirrored borders)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import spsolve

    height, width = mask.shape
    number = np.cumsum(mask.ravel()).reshape(mask.shape) - 1
    rows, columns = np.nonzero(mask)
    own = number[rows, columns]
    count = len(own)
    degree = np.zeros(count)
    entries: list[tuple[Any, Any]] = []
    edges: list[tuple[Any, Any, Any]] = []
    for dr, dc in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        r, c = rows + dr, columns + dc
        inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
        degree += inside
        r, c, mine = r[inside], c[inside], own[inside]
        hidden = mask[r, c]
        entries.append((mine[hidden], number[r[hidden], c[hidden]]))
        edges.append((mine[~hidden], r[~hidden], c[~hidden]))
    first = np.concatenate([a for a, _ in entries] + [np.arange(count)])
    second = np.concatenate([b for _, b in entries] + [np.arange(count)])
    values = np.concatenate([np.full(len(first) - count, -1.0), degree])
    matrix = coo_matrix((values, (first, second)), shape=(count, count)).tocsc()

    def plane(pixels: Array, _: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
        right = np.zeros(count)
        for mine, r, c in edges:
            np.add.at(right, mine, pixels[r, c])
        out = pixels.copy()
        out[mask] = spsolve(matrix, right)
        return out

    return _by_plane(image, mask, plane)


def telea(image: Array, mask: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    import cv2

    return _cv2_inpaint(image, mask, cv2.INPAINT_TELEA)


def navier_stokes(image: Array, mask: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    import cv2

    return _cv2_inpaint(image, mask, cv2.INPAINT_NS)


def _cv2_inpaint(image: Array, mask: npt.NDArray[np.bool_], flag: int) -> npt.NDArray[Any]:
    import cv2

    levels = (image * 255).round().astype(np.uint8)
    filled = cv2.inpaint(levels, mask.astype(np.uint8), RADIUS, flag) / np.float32(255)
    return np.where(mask if image.ndim == 2 else mask[..., None], filled, image)


def dncnn() -> torch.nn.Module:
    """The 17 layers of Zhang et al. (2017), untrained: only its time is measured, in the same engine."""
    layers: list[torch.nn.Module] = [torch.nn.Conv2d(1, 64, 3, padding=1), torch.nn.ReLU(inplace=True)]
    for _ in range(15):
        layers += [torch.nn.Conv2d(64, 64, 3, padding=1), torch.nn.ReLU(inplace=True)]
    layers.append(torch.nn.Conv2d(64, 1, 3, padding=1))
    net = torch.nn.Sequential(*layers).eval().requires_grad_(False)
    return net.to(memory_format=torch.channels_last)  # batch normalisation is folded into the convolutions


# ------------------------------------------------------------ measurement


def psnr(image: npt.NDArray[Any], clean: Array) -> float:
    return float(-10 * np.log10(np.mean((np.clip(image, 0, 1) - clean) ** 2)))


def similarity(image: npt.NDArray[Any], clean: Array) -> float:
    def batch(one: npt.NDArray[Any]) -> torch.Tensor:
        planes = one[..., None] if one.ndim == 2 else one
        return torch.from_numpy(np.ascontiguousarray(planes.transpose(2, 0, 1)[None], dtype=np.float32))

    return float(ssim(batch(np.clip(image, 0, 1)), batch(clean))[0])


def measured(
    images: list[Array], methods: dict[str, Callable[[int], npt.NDArray[Any]]]
) -> dict[str, dict[str, float]]:
    """Mean PSNR, SSIM and seconds of each method, which is given the number of an image."""
    sums = {name: np.zeros(3) for name in methods}
    for index, clean in enumerate(images):
        for name, method in methods.items():
            start = time.perf_counter()
            result = method(index)
            seconds = time.perf_counter() - start
            sums[name] += (psnr(result, clean), similarity(result, clean), seconds)
    keys = ("psnr", "ssim", "seconds")
    return {n: {k: float(v) / len(images) for k, v in zip(keys, s, strict=True)} for n, s in sums.items()}


def denoising(
    images: list[Array], methods: dict[str, Denoiser], sigmas: list[float], arguments: argparse.Namespace
) -> dict[str, Any]:
    print("\n| σ | method | PSNR | SSIM | s/image |\n|---|---|---|---|---|")
    result: dict[str, Any] = {}
    strip: list[npt.NDArray[Any]] = []
    network = dncnn()
    precision = find(isthmus_default()).precision
    for sigma in sigmas:
        random = np.random.default_rng(0)
        seen = [
            image + random.normal(size=image.shape).astype(np.float32) * np.float32(sigma / 255)
            for image in images
        ]
        runs: dict[str, Callable[[int], npt.NDArray[Any]]] = {"noisy": lambda i, seen=seen: seen[i]}  # type: ignore[misc]
        for name, method in methods.items():
            runs[name] = lambda i, method=method, seen=seen, sigma=sigma: method(seen[i], sigma)  # type: ignore[misc]
        found = measured(images, runs)
        found["DnCNN-17, time only"] = {"seconds": pass_time(network, images, precision)}
        show(f"{sigma:g}", found)
        result[f"{sigma:g}"] = found
        if arguments.strip is not None:
            strip.append(row([images[0], seen[0], *(m(seen[0], sigma) for m in methods.values())]))
    save_strip(arguments.strip, "denoised", strip, ["clean", "noisy", *methods])
    return result


def isthmus_default() -> str:
    from isthmus.restore.denoise import SHIPPED

    return SHIPPED[1]


def pass_time(network: torch.nn.Module, images: list[Array], precision: torch.dtype) -> float:
    """Mean seconds of one pass over the first plane of each image."""
    total = 0.0
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        for image in images[:8]:
            plane = torch.from_numpy(np.ascontiguousarray(image if image.ndim == 2 else image[..., 0]))
            start = time.perf_counter()
            network(plane[None, None].contiguous(memory_format=torch.channels_last))
            total += time.perf_counter() - start
    return total / len(images[:8])


def masks(height: int, width: int, seed: int) -> dict[str, npt.NDArray[np.bool_]]:
    """Random pixels, 16×16 blocks of a quarter of the image, thin scratches, the centre quarter."""
    random = np.random.default_rng(seed)
    noise = random.random((height, width))
    blocks = np.zeros((height, width), bool)
    while blocks.mean() < 0.25:
        top, left = random.integers(0, height - 15), random.integers(0, width - 15)
        blocks[top : top + 16, left : left + 16] = True
    lines = np.zeros((height, width), bool)
    rows, columns = np.mgrid[0:height, 0:width]
    for _ in range(25):
        angle, r, c = random.random() * np.pi, random.random() * height, random.random() * width
        across = (rows - r) * np.cos(angle) - (columns - c) * np.sin(angle)
        along = (rows - r) * np.sin(angle) + (columns - c) * np.cos(angle)
        lines |= (np.abs(across) < 1.5) & (np.abs(along) < random.random() * width / 3)
    return {
        "50 % of pixels": noise < 0.5,
        "80 % of pixels": noise < 0.8,
        "90 % of pixels": noise < 0.9,
        "blocks": blocks,
        "scratches": lines,
    }


def inpainting(
    images: list[Array], methods: dict[str, Inpainter], arguments: argparse.Namespace
) -> dict[str, Any]:
    print("\n| missing | method | PSNR | SSIM | s/image |\n|---|---|---|---|---|")
    result: dict[str, Any] = {}
    strip: list[npt.NDArray[Any]] = []
    missing = [masks(*image.shape[:2], seed) for seed, image in enumerate(images)]
    for kind in missing[0]:
        seen = [
            np.where(m[kind] if image.ndim == 2 else m[kind][..., None], 0, image)
            for m, image in zip(missing, images, strict=True)
        ]
        runs: dict[str, Callable[[int], npt.NDArray[Any]]] = {}
        for name, method in methods.items():
            runs[name] = lambda i, method=method, seen=seen, kind=kind: method(seen[i], missing[i][kind])  # type: ignore[misc]
        found = measured(images, runs)
        show(kind, found)
        result[kind] = found
        if arguments.strip is not None:
            filled = [m(seen[0], missing[0][kind]) for m in methods.values()]
            strip.append(row([images[0], seen[0], *filled]))
    save_strip(arguments.strip, "inpainted", strip, ["whole", "seen", *methods])
    return result


def show(label: str, found: dict[str, dict[str, float]]) -> None:
    for name, numbers in found.items():
        cells = [
            f"{numbers[k]:.{d}f}" if k in numbers else ""
            for k, d in (("psnr", 2), ("ssim", 4), ("seconds", 3))
        ]
        print(f"| {label} | {name} | {' | '.join(cells)} |", flush=True)


def row(cells: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The middle 160×160 of each, side by side."""
    parts = []
    for cell in cells:
        top, left = max(0, (cell.shape[0] - 160) // 2), max(0, (cell.shape[1] - 160) // 2)
        part = np.clip(cell[top : top + 160, left : left + 160], 0, 1)
        parts.append(np.stack([part] * 3, -1) if part.ndim == 2 else part)
    return np.concatenate(parts, 1)


def save_strip(path: Path | None, what: str, rows: list[npt.NDArray[Any]], names: list[str]) -> None:
    if path is not None and rows:
        place = path.with_stem(f"{path.stem}-{what}")
        save_image(place, np.concatenate(rows, 0))
        print(f"{place}: {', '.join(names)}")


def tune(images: list[Array]) -> None:
    """Best parameters at σ 25."""
    random = np.random.default_rng(1)
    seen = [i + random.normal(size=i.shape).astype(np.float32) * np.float32(25 / 255) for i in images]
    grids: dict[str, tuple[Callable[..., npt.NDArray[Any]], list[float]]] = {
        "NLM_H": (nlm, [0.5, 0.6, 0.7, 0.8, 1.0]),
        "TV_WEIGHT": (total_variation, [0.6, 0.75, 0.9, 1.05, 1.2]),
    }
    if find_spec("cv2"):
        grids["CV2_H"] = (cv2_nlm, [0.7, 0.8, 0.9, 1.0, 1.1])
    for name, (method, values) in grids.items():
        found = {
            v: np.mean([psnr(method(s, 25, v), c) for s, c in zip(seen, images, strict=True)]) for v in values
        }
        print(
            name,
            {v: round(float(p), 2) for v, p in found.items()},
            "best",
            max(found, key=lambda v: found[v]),
        )


if __name__ == "__main__":
    main()
