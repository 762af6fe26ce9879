"""Kinds of image files that are not read, their common names, and how to convert such images."""

from __future__ import annotations

import re
from collections.abc import Sequence

from isthmus.images import heif
from isthmus.messages import Message
from isthmus.wording import format_count

MAX_NAMED = 3
_OTHER = "other image"
_CONVERT = "convert them to PNG, TIFF or JPEG first"
_RAW_SUFFIXES = (
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".x3f", ".raw"),
)
# Suffixes, the common name of the kind, and how to convert such images.
_KINDS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (heif.SUFFIXES, "HEIC", "pip install 'isthmus[formats]' reads them"),
    ((".jxl",), "JPEG XL", f"{_CONVERT}, for example with djxl"),
    (_RAW_SUFFIXES, "camera raw", "develop them to 16-bit TIFF first, for example with darktable-cli"),
    ((".dcm", ".dicom", ".ima"), "DICOM", f"{_CONVERT}, for example with dcm2pnm"),
    ((".nii", ".nii.gz", ".mha", ".nrrd"), "volume", "save their slices as TIFF first"),
    ((".svg", ".svgz", ".eps", ".pdf"), "vector drawing", "draw them as PNG first"),
    ((".psd", ".psb", ".xcf", ".kra"), "editor", "export them as PNG or TIFF first"),
    ((".exr", ".hdr"), "HDR", "save them as float TIFF first"),
    (
        (
            ".tga",
            ".ico",
            ".cur",
            ".icns",
            ".pcx",
            ".dds",
            ".sgi",
            ".jxr",
            ".wdp",
            ".fits",
            ".fit",
            ".ras",
            ".mng",
        ),
        _OTHER,
        _CONVERT,
    ),
    ((".mp4", ".mov", ".avi", ".mkv", ".webm"), "video", "save their frames as PNG first, with ffmpeg"),
    ((".npy", ".npz"), "array", "give them by their own path"),
    (
        (".zip", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".rar", ".7z"),
        "packed archive",
        "unpack them first",
    ),
)
_BY_SUFFIX = {suffix: place for place, (suffixes, _, _) in enumerate(_KINDS) for suffix in suffixes}
# How files of these kinds begin, whatever they are called; by a suffix of the kind.
_BEGINNINGS = (
    (heif.BEGINNING, ".heic"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", ".jxl"),
    (rb"....ftypcrx|FUJIFILMCCD-RAW|FOVb|II(U\0|RO|RS)", ".raw"),
    (rb".{128}DICM", ".dcm"),
    (rb"%PDF|%!PS|<svg|\s*<\?xml[^>]*\?>\s*(<!--(?:(?!-->).)*-->\s*|<!DOCTYPE[^>]*>\s*)*<svg", ".svg"),
    (rb"8BPS|gimp xcf", ".psd"),
    (rb"\x76\x2f\x31\x01|#\?(RADIANCE|RGBE)", ".exr"),
    (rb"....ftyp(?!avi)|\x1a\x45\xdf\xa3|RIFF....AVI ", ".mp4"),
    (rb"\x93NUMPY", ".npy"),
    (rb"PK\x03\x04|\x1f\x8b|BZh|\xfd7zXZ|Rar!|7z\xbc\xaf", ".zip"),
)
START_BYTES = 1024  # of a file, enough to identify its kind
_DOUBLE = tuple(suffix for suffix in _BY_SUFFIX if suffix.count(".") == 2)


class UnreadFiles:
    """Counts files of kinds that are not read, while a folder is listed."""

    def __init__(self) -> None:
        self._names: dict[int, list[str]] = {}

    def add(self, name: str, shown: str) -> None:
        """Count the file if it is of such a kind.

        Args:
            name: its own, by which its kind is known.
            shown: what to call it.
        """
        if (place := _BY_SUFFIX.get(_suffix_of(name))) is not None and not name.startswith("."):
            self._names.setdefault(place, []).append(shown)

    def notes(self) -> tuple[Message, ...]:
        """A sentence for each kind."""
        return tuple(_describe(place, names) for place, names in sorted(self._names.items()))


def _suffix_of(name: str) -> str:
    lower = name.lower()
    return next((double for double in _DOUBLE if lower.endswith(double)), lower[max(lower.rfind("."), 0) :])


def find_kind(name: str, start: bytes) -> tuple[str, str] | None:
    """The kind of a file that is not read, and how to convert it; None for unknown kinds.

    Args:
        name: of the file, whose suffix decides if its first bytes do not.
        start: its first bytes.
    """
    suffix = next(
        (suffix for pattern, suffix in _BEGINNINGS if re.match(pattern, start, re.DOTALL)), _suffix_of(name)
    )
    place = _BY_SUFFIX.get(suffix)
    if place is None or (heif.IS_READ and suffix in heif.SUFFIXES):
        return None
    _, kind, advice = _KINDS[place]
    return suffix[1:].upper() if kind == _OTHER else kind, advice


def _describe(place: int, names: Sequence[str]) -> Message:
    _, kind, advice = _KINDS[place]
    return Message(
        "not read: {files} ({names}); {advice}",
        id="reading.unread-kind",
        files=format_count(len(names), f"{kind} file"),
        names=list_some(names),
        advice=advice,
    )


def list_some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - MAX_NAMED:,} more" if len(ordered) > MAX_NAMED else ""
    return ", ".join(ordered[:MAX_NAMED]) + more
