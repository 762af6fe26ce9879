"""Choose how one image is denoised: its measured noise -> shipped network, noise level and colour axes.

White noise is removed by the networks trained on it, also from JPEG files. Where it is partly common to the
channels, a change of colour axes, the inverse root of its correlation, makes it independent first. All other
noise is removed by `photo-denoise-real`, which takes no noise level. JPEG files with little noise besides the
compression go to `photo-dejpeg`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.metrics.noise import Noise, measure_noise
from isthmus.metrics.noise_covariance import (
    MIN_SIDE_PX,
    NoiseEstimate,
    estimate_noise_covariance,
    white_level,
)
from isthmus.metrics.noise_structure import has_jpeg_blocks, has_line_noise, luminance

WHITE = {1: "photo-denoise-gray", 3: "photo-denoise-colour"}  # by channels
REAL = "photo-denoise-real"
DEJPEG = "photo-dejpeg"
MIN_FLATNESS = 0.62  # of the spectrum of white noise: σ 3 on photographs has .64 and more, texture .6 at most
MAX_KURTOSIS = 0.7  # excess; Gaussian noise has 0, texture more
SURE_FLATNESS, MAX_KURTOSIS_OF_FLAT = 0.8, 2.5  # photon noise has several levels and a flat spectrum
MIN_SIGMA, MIN_COARSE_SIGMA = 1.0, 2.5  # of 255: with less than both an image is left as it is
MIN_WHITE_SIGMA = 1.5  # of 255
MIN_SMOOTH_COARSENESS = 20.0  # of smooth noise, whose level its fine part does not show; texture has less
MIN_SHARE = 0.8  # of the windows carry noise that is everywhere in the image
MIN_AXES_RATIO = 1.2  # of deviations of the noise along colour axes; below, the axes stay
MAX_AXES_RATIO = 2.0  # more shrinks colours too much
MIN_CORRELATION = 0.15  # of channels, for other axes; several levels alone cost less than other axes
JPEG_LOSS = 1.45  # of the noise of colour images in its level, mostly by halving the chroma
MAX_JPEG_SIGMA = 3.0  # of 255: noise beyond the quantisation that `photo-dejpeg` may be given
MAX_JPEG_QUALITY = 90  # above, the network changes more than the coding did
MAX_LOOK_PX = 768  # side of the middle part in which blocks and lines are looked for


@dataclass(frozen=True, eq=False)
class DenoisingPlan:
    """How one image is denoised.

    Attributes:
        model: name of the shipped network; None where a model was given.
        reason: why, in a few words; empty where there was no choice.
        sigma: standard deviation of the noise in units of 1/255 of the range of the samples.
        error: standard error of `sigma`; None where it was not estimated.
        noise: level as the network is given it, in units of 1/255, and where the noise was clipped.
        gain: samples in [0, 1] are multiplied by it before the network sees them.
        axes: `(3, 3)` change of colour axes in which the noise is white; None for none.
        leaves_image: there is nothing to remove.
    """

    model: str | None
    reason: str
    sigma: float
    error: float | None
    noise: Noise
    gain: float = 1.0
    axes: Tensor | None = None
    leaves_image: bool = False


def plan_denoising(
    image: npt.NDArray[Any],
    sigma: float | None = None,
    *,
    choose: bool = True,
    opaque: npt.NDArray[np.bool_] | None = None,
    jpeg: bool = False,
) -> DenoisingPlan:
    """Decide how to denoise one image.

    Args:
        image: `(H, W)` or `(H, W, C)` without alpha: uint8, uint16 or float, see `estimate_noise_covariance`.
        sigma: standard deviation of white noise in units of 1/255; by default the noise is measured.
        choose: choose a shipped network; else only the level is found.
        opaque: `(H, W)`, False where the image is transparent.
        jpeg: the image was decoded from a JPEG file.

    Raises:
        DataError: NaN or infinity, or too small an image to measure its noise.
    """
    planes = image[..., None] if image.ndim == 2 else image
    gain = _full_range(planes) / white_level(planes)
    specialist = WHITE.get(planes.shape[2], WHITE[3]) if choose else None
    if sigma is not None or min(planes.shape[:2]) < MIN_SIDE_PX:
        if sigma == 0:
            return DenoisingPlan(specialist, "", 0.0, None, Noise(0.0), gain, leaves_image=True)
        measured_noise = measure_noise(planes, sigma)
        error = None if sigma is not None else max(measured_noise.sigma / 4, 0.5)
        return DenoisingPlan(specialist, "", measured_noise.sigma, error, _scaled(measured_noise, gain), gain)
    measured = estimate_noise_covariance(planes, opaque=opaque)
    clipped = _scaled(measure_noise(planes, measured.sigma / gain), gain)
    level, error = measured.sigma / gain, measured.error / gain
    if not choose:
        return DenoisingPlan(None, "", level, error, clipped, gain, leaves_image=level == 0)
    luma = luminance(_middle(planes), measured.white)
    if jpeg and _jpeg_noise(measured, luma) < MAX_JPEG_SIGMA:
        reason = f"a JPEG file with noise below {MAX_JPEG_SIGMA:g}"
        return DenoisingPlan(DEJPEG, reason, level, error, clipped, gain)
    if measured.windows == 0 or (measured.sigma < MIN_SIGMA and measured.coarse_sigma < MIN_COARSE_SIGMA):
        return DenoisingPlan(specialist, "", level, error, clipped, gain, leaves_image=True)
    gaussian = _is_gaussian(measured)
    if gaussian and measured.share >= MIN_SHARE and (jpeg or has_jpeg_blocks(luma)):
        measured_noise = Noise(
            clipped.sigma * (JPEG_LOSS if planes.shape[2] == 3 else 1.0), clipped.black, clipped.white
        )
        reason = "white noise that was saved as JPEG"
        return DenoisingPlan(specialist, reason, measured_noise.sigma / gain, error, measured_noise, gain)
    reason = _why_not_white(measured, luma, jpeg=jpeg)
    if reason:
        if measured.kurtosis <= MAX_KURTOSIS or measured.coarseness >= MIN_SMOOTH_COARSENESS:
            level = max(level, measured.coarse_sigma / gain)
        return DenoisingPlan(REAL, reason, level, error, clipped, gain)
    axes, sigma_seen = None, measured.sigma
    if np.abs(measured.correlation - np.eye(planes.shape[2])).max() >= MIN_CORRELATION:
        axes, sigma_seen = whiten(measured.correlation * measured.sigma**2)
    noise = Noise(sigma_seen, clipped.black, clipped.white)
    reason = "" if axes is None else "white noise that is common to the channels"
    return DenoisingPlan(specialist, reason, level, error, noise, gain, axes)


def whiten(covariance: npt.NDArray[np.float64]) -> tuple[Tensor | None, float]:
    """Colour axes in which noise of this `(C, C)` covariance is white, and its standard deviation there.

    The axis with the least noise keeps its scale and the others become shorter, so that colours stay in the
    range of samples that a network knows. None, and the mean deviation, where the noise is white already.
    """
    values, vectors = np.linalg.eigh(covariance)
    mean = float(np.sqrt(values.mean()))
    if len(values) == 1 or values[-1] <= MIN_AXES_RATIO**2 * values[0]:
        return None, mean
    deviations = np.sqrt(np.maximum(values, values[-1] / MAX_AXES_RATIO**2))
    least = float(deviations[0])
    return torch.from_numpy((vectors * (least / deviations)) @ vectors.T).float(), least


def _why_not_white(measured: NoiseEstimate, luma: npt.NDArray[np.float64], *, jpeg: bool) -> str:
    """Why the networks for white noise are not for this noise; empty where they are."""
    if jpeg or has_jpeg_blocks(luma):
        return "noise that was saved as JPEG"
    if not _is_gaussian(measured):
        return "noise that is not white, or no noise but texture"
    if measured.share < MIN_SHARE:
        return "noise in a part of the image"
    if has_line_noise(luma):
        return "noise of rows or columns"
    return ""


def _jpeg_noise(measured: NoiseEstimate, luma: npt.NDArray[np.float64]) -> float:
    """Level of the noise that quantisation left, in units of 1/255; 0 where only texture is found.

    Where quantisation removed the noise of single samples, that of means of 2×2 samples may remain.
    """
    height, width = (side // 2 * 2 for side in luma.shape)
    halved = luma[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3)) / 255
    levels = [measured.sigma if _is_gaussian(measured) else 0.0]
    if min(halved.shape) >= MIN_SIDE_PX:
        coarse = estimate_noise_covariance(halved)
        levels.append(2 * coarse.sigma if _is_gaussian(coarse) else 0.0)
    return max(levels)


def _is_gaussian(measured: NoiseEstimate) -> bool:
    most = MAX_KURTOSIS_OF_FLAT if measured.flatness >= SURE_FLATNESS else MAX_KURTOSIS
    enough = measured.sigma >= MIN_WHITE_SIGMA  # the fine part of enlarged noise is weak and white
    return enough and measured.flatness >= MIN_FLATNESS and measured.kurtosis <= most


def _scaled(noise: Noise, gain: float) -> Noise:
    """The noise of samples that are multiplied by `gain`; then none of them was clipped at white."""
    return Noise(noise.sigma * gain, noise.black, noise.white and gain == 1)


def _full_range(planes: npt.NDArray[Any]) -> float:
    return 1.0 if planes.dtype.kind == "f" else float(np.iinfo(planes.dtype).max)


def _middle(planes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    rows, columns = (max(0, (side - MAX_LOOK_PX) // 2) for side in planes.shape[:2])
    return planes[rows : rows + MAX_LOOK_PX, columns : columns + MAX_LOOK_PX]
