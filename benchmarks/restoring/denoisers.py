"""Isthmus and the classical methods that take noise away; those are used where they are installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from restoring.images import Array

import isthmus
from isthmus.model.autoencoder import Autoencoder

Denoiser = Callable[[Array, float], npt.NDArray[Any]]

# Factors of σ (of 1) and others, tuned on held-out pieces by `--tune` at σ 25.
NLM_H, TV_WEIGHT, CV2_H = 0.8, 0.9, 0.9


def denoisers(model: Autoencoder | None) -> dict[str, Denoiser]:
    """By name; σ comes in units of 1/255."""
    methods: dict[str, Denoiser] = {
        "isthmus": lambda image, sigma: isthmus.denoise(image, sigma, model),
        "isthmus ensemble": lambda image, sigma: isthmus.denoise(image, sigma, model, ensemble=True),
        "isthmus without σ": lambda image, _: isthmus.denoise(image, None, model),
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


def dncnn() -> torch.nn.Module:
    """The 17 layers of Zhang et al. (2017), untrained: only its time is measured, in the same engine."""
    layers: list[torch.nn.Module] = [torch.nn.Conv2d(1, 64, 3, padding=1), torch.nn.ReLU(inplace=True)]
    for _ in range(15):
        layers += [torch.nn.Conv2d(64, 64, 3, padding=1), torch.nn.ReLU(inplace=True)]
    layers.append(torch.nn.Conv2d(64, 1, 3, padding=1))
    net = torch.nn.Sequential(*layers).eval().requires_grad_(False)
    return net.to(memory_format=torch.channels_last)  # batch normalisation is folded into the convolutions
