"""A second decoder of tiles, from docs/reference/format-tiles.md alone, in plain Python integers.

It shares nothing with the package but the numbers in a model's tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

TOP = 1 << 64


class RangeDecoder:
    """docs/reference/format-tiles.md, "Range coder"."""

    def __init__(self, data: bytes) -> None:
        padded = data + bytes(-len(data) % 4)
        self.words = [int.from_bytes(padded[i : i + 4], "little") for i in range(0, len(padded), 4)]
        self.next = 0
        self.low, self.range = 0, TOP - 1
        self.point = (self.word() << 32) | self.word()

    def word(self) -> int:
        self.next += 1
        return self.words[self.next - 1] if self.next <= len(self.words) else 0

    def symbol(self, weights: Sequence[int]) -> int:
        scale = self.range >> 24
        quantile = ((self.point - self.low) % TOP) // scale
        below, value = 0, 0
        while quantile >= below + weights[value]:
            below += weights[value]
            value += 1
        self.low = (self.low + scale * below) % TOP
        self.range = scale * weights[value]
        if self.range < 1 << 32:
            self.low, self.range = (self.low << 32) % TOP, self.range << 32
            self.point = ((self.point << 32) | self.word()) % TOP
        return value

    def raw(self, bits: int) -> int:
        return self.symbol([1 << (24 - bits)] * (1 << bits))

    def raws(self, bits: int, count: int) -> list[int]:
        """`count` values, all their lowest 12 bits first, then what is above."""
        values = [0] * count
        for shift in range(0, bits, 12):
            part = min(12, bits - shift)
            values = [value | self.raw(part) << shift for value in values]
        return values


def decode_tile(payload: bytes, size: tuple[int, int], band: Any) -> list[list[list[int]]]:
    """Symbols [channel][row][column] of a tile's payload: docs/reference/format-tiles.md, "Tiles"."""
    height, width = size
    coder = RangeDecoder(payload[3:])
    channels = len(band.silent)
    planes = [[[0] * width for _ in range(height)] for _ in range(channels)]
    silent = [coder.symbol([(1 << 24) - int(w), int(w)]) for w in band.silent]
    done: list[int] = []
    # At every step what was found and what was expected of the channels before.
    sums = [[(0, 0)] * width for _ in range(height)]
    for channel in range(channels):
        if silent[channel]:
            continue
        first: dict[tuple[int, int], tuple[int, int]] = {}
        both: dict[tuple[int, int], tuple[int, int]] = {}
        for half in (0, 1):
            places = [(y, x) for y in range(height) for x in range(width) if (y + x) % 2 == half]
            result, surprise = _half(coder, band, planes, channel, half, places, done, sums, first)
            for (y, x), value, new in zip(places, result, surprise, strict=True):
                planes[channel][y][x] = value
                both[y, x] = new
                if half == 0:
                    first[y, x] = new
        for (y, x), (item, other) in both.items():
            sums[y][x] = (sums[y][x][0] + item, sums[y][x][1] + other)
        done.append(channel)
    return planes


def _half(
    coder: RangeDecoder,
    band: Any,
    planes: list[list[list[int]]],
    channel: int,
    half: int,
    places: list[tuple[int, int]],
    done: list[int],
    sums: list[list[tuple[int, int]]],
    first: dict[tuple[int, int], tuple[int, int]],
) -> tuple[list[int], list[tuple[int, int]]]:
    symbols_so_far, means, shifts, rows, expected = [], [], [], [], []
    for y, x in places:
        mean, total = int(band.mean_bias[half][channel]), int(band.scale_bias[half][channel])
        for other in done:
            row = channel * (channel - 1) // 2 + other
            for tap in range(9):
                symbol = _at(planes[other], y + tap // 3 - 1, x + tap % 3 - 1)
                mean += int(band.mean[row][tap]) * symbol
                total += int(band.scale[row][tap]) * abs(symbol)
        result, promised = sums[y][x]
        if half:
            for k, (down, right) in enumerate(((-1, 0), (0, -1), (0, 1), (1, 0))):
                symbol = _at(planes[channel], y + down, x + right)
                mean += int(band.mean_own[channel][k]) * symbol
                total += int(band.scale_own[channel][k]) * abs(symbol)
                beside = first.get((y + down, x + right), (0, 0))
                result, promised = result + beside[0], promised + beside[1]
        mean = max(-32767 * 1024, min(32767 * 1024, mean))
        middle = (mean + 512) // 1024
        away = mean - 1024 * middle
        level = sum(int(t) <= total for t in band.thresholds)
        ratio = (result + 2048) * 4096 // (promised + 2048)
        shifted = level + sum(int(r) <= ratio for r in band.ratios) - len(band.ratios) // 2
        number = max(0, min(len(band.spread) - 1, shifted)) // 4
        zone = 0
        if middle:
            zone = (1 if abs(middle) == 1 else 3) + (middle * away >= 0)
        symbols_so_far.append(mean)
        expected.append(int(band.spread[level]))
        means.append((middle, -1 if away < 0 else 1))
        shifts.append(int(band.shifts[number]))
        codes = band.codes[number][min(16 * abs(away) // 1024, 7) * 5 + zone]
        rows.append(_weights([int(band.powers[code]) for code in codes]))
    high = [coder.symbol(weights) - 16 for weights in rows]
    escaped = [i for i, value in enumerate(high) if value == 17]
    signs = coder.raws(1, len(escaped))
    lengths = [coder.symbol([1 << 19] * 32) for _ in escaped]
    beyond = dict.fromkeys(escaped, 0)
    for bits in sorted(set(lengths)):
        these = [i for i, length in zip(escaped, lengths, strict=True) if length == bits]
        for i, rest in zip(these, coder.raws(bits, len(these)), strict=True):
            beyond[i] = (1 << bits) + rest
    for i, sign in zip(escaped, signs, strict=True):
        high[i] = (beyond[i] + 16) * (-1 if sign else 1)
    low = dict.fromkeys(range(len(places)), 0)
    for bits in sorted(set(shifts) - {0}):
        these = [i for i, shift in enumerate(shifts) if shift == bits]
        low.update(zip(these, coder.raws(bits, len(these)), strict=True))
    values = [((value << shifts[i]) + low[i]) * means[i][1] + means[i][0] for i, value in enumerate(high)]
    away_from = [abs(1024 * value - mean) for value, mean in zip(values, symbols_so_far, strict=True)]
    return values, list(zip(away_from, expected, strict=True))


def _weights(shares: list[int]) -> list[int]:
    weights = [1 + share * ((1 << 24) - len(shares)) // sum(shares) for share in shares]
    weights[weights.index(max(weights))] += (1 << 24) - sum(weights)
    return weights


def _at(plane: list[list[int]], y: int, x: int) -> int:
    inside = 0 <= y < len(plane) and 0 <= x < len(plane[0])
    return plane[y][x] if inside else 0
