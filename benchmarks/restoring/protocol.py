"""Noise is added or pixels are hidden, every method has its turn, and its result is compared."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from restoring.denoisers import Denoiser, dncnn
from restoring.drawing import row, save_strip, show
from restoring.images import Array, masks
from restoring.inpainters import Inpainter

from isthmus.metrics.structure import ssim
from isthmus.model.loading import load_shared


def psnr(image: npt.NDArray[Any], clean: Array) -> float:
    return float(-10 * np.log10(np.mean((np.clip(image, 0, 1) - clean) ** 2)))


def similarity(image: npt.NDArray[Any], clean: Array) -> float:
    def batch(image: npt.NDArray[Any]) -> torch.Tensor:
        planes = image[..., None] if image.ndim == 2 else image
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
    precision = load_shared(isthmus_default()).precision
    for sigma in sigmas:
        random = np.random.default_rng(0)
        noisy = [
            image + random.normal(size=image.shape).astype(np.float32) * np.float32(sigma / 255)
            for image in images
        ]
        if arguments.files:  # whole levels, and float again for the methods that want it
            noisy = [(image * 255).round().clip(0, 255) / np.float32(255) for image in noisy]
        runs: dict[str, Callable[[int], npt.NDArray[Any]]] = {"noisy": noisy.__getitem__}
        for name, method in methods.items():
            runs[name] = partial(_denoised, method, noisy, sigma)
        results = measured(images, runs)
        results["DnCNN-17, time only"] = {"seconds": pass_time(network, images, precision)}
        show(f"{sigma:g}", results)
        result[f"{sigma:g}"] = results
        if arguments.strip is not None:
            strip.append(row([images[0], noisy[0], *(m(noisy[0], sigma) for m in methods.values())]))
    save_strip(arguments.strip, "denoised", strip, ["clean", "noisy", *methods])
    return result


def _denoised(method: Denoiser, noisy: list[Array], sigma: float, index: int) -> npt.NDArray[Any]:
    return method(noisy[index], sigma)


def _filled(
    method: Inpainter, damaged: list[Array], missing: list[npt.NDArray[np.bool_]], index: int
) -> npt.NDArray[Any]:
    return method(damaged[index], missing[index])


def isthmus_default() -> str:
    from isthmus.restoration.noise_choice import WHITE

    return WHITE[1]


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


def inpainting(
    images: list[Array], methods: dict[str, Inpainter], arguments: argparse.Namespace
) -> dict[str, Any]:
    print("\n| missing | method | PSNR | SSIM | s/image |\n|---|---|---|---|---|")
    result: dict[str, Any] = {}
    strip: list[npt.NDArray[Any]] = []
    missing = [masks(*image.shape[:2], seed) for seed, image in enumerate(images)]
    for kind in missing[0] if arguments.missing is None else arguments.missing.split(","):
        damaged = [
            np.where(m[kind] if image.ndim == 2 else m[kind][..., None], 0, image)
            for m, image in zip(missing, images, strict=True)
        ]
        runs: dict[str, Callable[[int], npt.NDArray[Any]]] = {}
        for name, method in methods.items():
            runs[name] = partial(
                _filled, method, damaged, [masks_of_image[kind] for masks_of_image in missing]
            )
        results = measured(images, runs)
        show(kind, results)
        result[kind] = results
        if arguments.strip is not None:
            filled = [m(damaged[0], missing[0][kind]) for m in methods.values()]
            strip.append(row([images[0], damaged[0], *filled]))
    save_strip(arguments.strip, "inpainted", strip, ["whole", "seen", *methods])
    return result
