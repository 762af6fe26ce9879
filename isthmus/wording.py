"""Counts in sentences."""

from __future__ import annotations


class CountText(str):
    """A number with its noun, as text; `number` is the number alone."""

    number: float

    def __new__(cls, text: str, number: float = 0) -> CountText:
        self = super().__new__(cls, text)
        self.number = number
        return self


def format_count(number: float, noun: str, plural: str | None = None) -> str:
    """A number with its noun: "1 image", "0 images", "1,234 images", "0.5 minutes".

    Args:
        noun: in the singular; plural: where it is not the singular with an "s".
    """
    digits = f"{number:,}" if isinstance(number, int) else f"{number:,g}"
    return CountText(f"{digits} {choose_word(number, noun, plural)}", number)


def choose_word(number: float, singular: str, plural: str | None = None) -> str:
    """The noun or verb that goes with a number: "image" or "images", "is" or "are"."""
    return singular if number == 1 else plural or f"{singular}s"


def format_size(size_bytes: int) -> str:
    """A number of bytes in words: "512 bytes", "3.4 MB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            number = size_bytes / factor
            return f"{number:.3g} {unit}" if number < 1000 else f"{number:,.0f} {unit}"
    return f"{size_bytes} bytes"
