"""Align one image with another by a crop and a change of brightness, and measure the remaining error.

Gauss–Newton on six numbers: stretch and shift in each direction, gain, offset (Lucas and Kanade 1981, with
the photometric terms of Hager and Belhumeur 1998, section 3). What a crop, JPEG or brightness did to an image
is undone to within the noise of resampling and compression; between two different images something stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

FINE_STEPS = 4
SMOOTHING_SIGMA_PX = 0.6  # pixels; makes the steps reliable and hides what resampling does to single pixels
_MAX_PARAMETERS = (0.14, 0.14, 0.14, 0.14, 0.3, 0.3)  # of stretch, shift (in half sides), gain, offset
# How large each is likely to be; a weak pull to zero where the image does not determine it.
_PARAMETER_SIGMAS = (0.05, 0.05, 0.05, 0.05, 0.15, 0.1)
_NOISE_SIGMA = 0.004
_MIN_CONTRAST = 0.02  # added to the contrast that the residue is compared with, for nearly flat images
BATCH = 256


@dataclass(frozen=True)
class AlignmentError:
    """The remaining error of each pair.

    Attributes:
        error: `(P,)` root mean square difference on [0, 1]; relative: the same against the contrast.
    """

    error: Tensor
    relative: Tensor


def align(first: Tensor, second: Tensor, *, steps: int = FINE_STEPS) -> AlignmentError:
    """Both `(P, h, w)` on [0, 1]; the better of laying the first over the second, and the other way round."""
    if len(first) == 0:
        return AlignmentError(first.new_zeros(0), first.new_zeros(0))
    errors, relatives = [], []
    for a, b in zip(torch.split(first, BATCH), torch.split(second, BATCH), strict=True):
        a, b = _smooth(a, SMOOTHING_SIGMA_PX), _smooth(b, SMOOTHING_SIGMA_PX)
        forward, backward = _fit_alignment(a, b, steps), _fit_alignment(b, a, steps)
        error = torch.minimum(forward, backward)
        contrast = torch.maximum(a.flatten(1).std(1), b.flatten(1).std(1))
        errors.append(error)
        relatives.append(error / (contrast + _MIN_CONTRAST))
    return AlignmentError(torch.cat(errors), torch.cat(relatives))


def tangent_error(images: Tensor, of: Tensor, targets: Tensor) -> Tensor:
    """Error after one linear step: the tangent distance (Simard et al. 1998, section 2.1), one-sided.

    Right for small changes and a rough guess for others, but a hundred times cheaper than `align`.

    Args:
        images: `(M, h, w)`; of: `(P,)` which of them is laid over which of the `targets`, `(P, h, w)`.

    Returns:
        `(P,)` root mean square difference.
    """
    height, width = images.shape[-2:]
    smooth = _smooth(images, 1.0)
    across, down = _slopes(smooth)
    x, y = torch.linspace(-1, 1, width), torch.linspace(-1, 1, height)[:, None]
    moved = [across * x, across, down * y, down, smooth, torch.ones_like(smooth)]
    tangents = torch.stack([plane.flatten(1) for plane in moved], 2)  # (M, h·w, 6)
    basis = torch.linalg.qr(tangents).Q
    difference = _smooth(targets, 1.0).flatten(1) - smooth.flatten(1)[of]
    along = (basis[of].transpose(1, 2) @ difference[:, :, None])[..., 0]
    left = difference.square().sum(1) - along.square().sum(1)
    error: Tensor = (left.clamp_min(0) / (height * width)).sqrt()
    return error


def _fit_alignment(moving: Tensor, fixed: Tensor, steps: int) -> Tensor:
    """Root mean square difference `(P,)` after the moving image was fitted to the fixed one."""
    count, height, width = moving.shape
    across, down = _slopes(moving)
    planes = torch.stack([moving, across * (width / 2), down * (height / 2)], 1)
    x = ((torch.arange(width) + 0.5) * 2 / width - 1).expand(height, width)
    y = ((torch.arange(height) + 0.5) * 2 / height - 1)[:, None].expand(height, width)
    most = torch.tensor(_MAX_PARAMETERS)
    pull = (_NOISE_SIGMA / torch.tensor(_PARAMETER_SIGMAS)).square()
    numbers = torch.zeros(count, 6)
    for step in range(steps + 1):
        stretch_x, shift_x, stretch_y, shift_y, gain, offset = (n.view(-1, 1, 1) for n in numbers.unbind(1))
        at_x, at_y = (1 + stretch_x) * x + shift_x, (1 + stretch_y) * y + shift_y
        where = torch.stack([at_x, at_y], -1)
        sampled = F.grid_sample(planes, where, padding_mode="border", align_corners=False).flatten(2)
        inside = ((at_x.abs() <= 1) & (at_y.abs() <= 1)).flatten(1).float()  # (P, h·w)
        area = inside.sum(1, keepdim=True)
        value, slope_x, slope_y = sampled.unbind(1)
        left = ((1 + gain[:, 0]) * value + offset[:, 0] - fixed.flatten(1)) * inside
        if step == steps:
            break
        slope_x, slope_y = (1 + gain[:, 0]) * slope_x, (1 + gain[:, 0]) * slope_y
        moved = [
            slope_x * x.flatten(),
            slope_x,
            slope_y * y.flatten(),
            slope_y,
            value,
            torch.ones_like(value),
        ]
        jacobian = torch.stack(moved, 1) * inside[:, None]  # (P, 6, h·w)
        curvature = jacobian @ jacobian.transpose(1, 2) / area[:, :, None] + torch.diag(pull)
        towards = (jacobian @ left[:, :, None])[..., 0] / area + pull * numbers
        numbers = numbers - torch.linalg.solve(curvature, towards)
        numbers = torch.maximum(torch.minimum(numbers, most), -most)
    return (left.square().sum(1) / area[:, 0]).sqrt()


def _slopes(images: Tensor) -> tuple[Tensor, Tensor]:
    padded = F.pad(images[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    across = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    return across, down


def _smooth(images: Tensor, sigma: float) -> Tensor:
    radius = 2
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma).square())
    kernel = kernel / kernel.sum()
    padded = F.pad(images[:, None], (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))[:, 0]
