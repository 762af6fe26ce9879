"""The quality that gives a wanted rate or a wanted fidelity."""

from __future__ import annotations

import math
from collections.abc import Callable

from isthmus.codec.encoding import QUALITIES, Encoded

PROBES = 8
CLOSE = 0.004  # of the logarithm of a rate, or of dB / 10: near enough to stop


def largest_within(
    make: Callable[[int], Encoded], measure: Callable[[Encoded], float], limit: float
) -> Encoded:
    """The file of the highest quality found whose `measure`, a rate, is at most `limit`.

    Where even the lowest quality is above the limit, its file. The logarithm of a rate is nearly linear in
    quality, so the next probe is where a line through the last two bounds meets the limit (regula falsi, with
    the Illinois correction: Dowell and Jarratt 1971).
    """
    return _sought(make, lambda one: math.log(measure(one) / limit), best_below=True)


def least_reaching(
    make: Callable[[int], Encoded], measure: Callable[[Encoded], float], limit: float
) -> Encoded:
    """The file of the lowest quality found whose `measure`, in dB, is at least `limit`.

    Where even the highest quality stays below, its file.
    """
    return _sought(make, lambda one: (measure(one) - limit) / 10, best_below=False)


def _sought(
    make: Callable[[int], Encoded], excess: Callable[[Encoded], float], *, best_below: bool
) -> Encoded:
    low, high = QUALITIES
    middle = make((low + high) // 2)
    at = excess(middle)
    kept: dict[bool, tuple[Encoded, float] | None] = {True: None, False: None}
    kept[at <= 0] = (middle, at)
    # First the bound on the other side of the middle, then between the two.
    edge = make(high if at <= 0 else low)
    at_edge = excess(edge)
    if (at_edge <= 0) == (at <= 0):
        return edge
    kept[at_edge <= 0] = (edge, at_edge)
    below, above = kept[True], kept[False]
    assert below is not None and above is not None
    pull_low, pull_high = below[1], above[1]
    for _ in range(PROBES):
        (a, x), (b, y) = below, above
        if b.quality - a.quality <= 1 or (abs(x) < CLOSE if best_below else 0 <= y < CLOSE):
            break
        share = pull_low / (pull_low - pull_high) if pull_low != pull_high else 0.5
        quality = round(a.quality + min(max(share, 0.02), 0.98) * (b.quality - a.quality))
        probe = make(min(max(quality, a.quality + 1), b.quality - 1))
        value = excess(probe)
        if value <= 0:
            below, pull_low, pull_high = (probe, value), value, pull_high / 2
        else:
            above, pull_high, pull_low = (probe, value), value, pull_low / 2
    return below[0] if best_below or (below[1] == 0) else above[0]
