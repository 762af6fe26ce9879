"""How much smaller one coder's files are than another's at equal quality: the Bjøntegaard delta rate.

Source: Bjøntegaard, "Calculation of average PSNR differences between RD-curves", ITU-T VCEG-M33, 2001; with
monotone piecewise cubics (PCHIP; Fritsch and Carlson, SIAM J. Numer. Anal. 17, 1980) in place of one cubic,
which can swing between the points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator

Curve = Sequence[tuple[float, float]]
ALL_RATES = (0.0, math.inf)


def bd_rate(curve: Curve, reference: Curve, *, between: tuple[float, float] = ALL_RATES) -> float:
    """Mean difference of the rate at equal quality, in percent of the reference's: −30 is 30 % smaller files.

    The logarithm of the rate is interpolated over quality and averaged over the qualities that both curves
    reach.

    Args:
        curve, reference: at least two points `(rate, quality)` each, in any order, such as `(bits per pixel,
            dB)`. The rate must rise with the quality.
        between: only the parts of the curves whose rates lie in here count.

    Raises:
        ValueError: too few points, a rate that is not positive or does not rise with the quality, or no
            quality that both reach.
    """
    parts = [_RateCurve(points, between) for points in (curve, reference)]
    low, high = max(part.low for part in parts), min(part.high for part in parts)
    if not low < high:
        raise ValueError("two rate–distortion curves without a common quality cannot be compared")
    mine, other = (part.integral(low, high) / (high - low) for part in parts)
    return 100 * math.expm1(mine - other)


class _RateCurve:
    """log rate over quality, within rate bounds."""

    def __init__(self, points: Curve, between: tuple[float, float]) -> None:
        ordered = sorted((float(quality), float(rate)) for rate, quality in points)
        qualities = np.array([quality for quality, _ in ordered])
        rates = np.array([rate for _, rate in ordered])
        if len(ordered) < 2 or not np.isfinite(ordered).all() or min(rates) <= 0:
            raise ValueError("a rate–distortion curve needs at least two points with positive, finite rates")
        if not ((np.diff(qualities) > 0).all() and (np.diff(rates) > 0).all()):
            raise ValueError("a rate–distortion curve's rate must rise with its quality")
        self.log_rate = PchipInterpolator(qualities, np.log(rates))
        quality_at = PchipInterpolator(np.log(rates), qualities)
        first, last = max(between[0], float(rates[0])), min(between[1], float(rates[-1]))
        self.low, self.high = math.inf, -math.inf
        if first < last:
            self.low, self.high = float(quality_at(math.log(first))), float(quality_at(math.log(last)))

    def integral(self, low: float, high: float) -> float:
        return float(self.log_rate.integrate(low, high))
