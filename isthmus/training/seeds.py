"""Seeds for the steps of a training."""

from __future__ import annotations


def step_seed(seed: int, step: int) -> int:
    """A 63-bit seed from two numbers, well mixed (splitmix64; Steele et al. 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & (2**64 - 1)
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return (z ^ (z >> 31)) >> 1
