"""Image files of kinds that are not read here: counted, and named with what would read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from isthmus.messages import Message
from isthmus.wording import format_count

MAX_NAMED = 3
_CONVERT = "convert them to PNG, TIFF or JPEG first"
_RAW = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".x3f", ".raw")
# Suffixes, what people call the kind, and how such images can be read.
_KINDS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    ((".heic", ".heif", ".hif"), "HEIC", f"{_CONVERT}, for example with heif-convert"),
    ((".jxl",), "JPEG XL", f"{_CONVERT}, for example with djxl"),
    (_RAW, "camera raw", "develop them to 16-bit TIFF first, for example with darktable-cli"),
    ((".dcm", ".dicom", ".ima"), "DICOM", f"{_CONVERT}, for example with dcm2pnm"),
    ((".nii", ".nii.gz", ".mha", ".nrrd"), "volume", "save their slices as TIFF first"),
    ((".svg", ".svgz", ".eps", ".pdf"), "vector drawing", "draw them as PNG first"),
    ((".psd", ".psb", ".xcf", ".kra"), "editor", "export them as PNG or TIFF first"),
    ((".exr", ".hdr"), "HDR", "save them as float TIFF first"),
    ((".tga", ".ico", ".icns", ".pcx", ".dds", ".sgi", ".jxr", ".fits", ".fit"), "other image", _CONVERT),
    ((".mp4", ".mov", ".avi", ".mkv", ".webm"), "video", "save their frames as PNG first, with ffmpeg"),
    ((".npy", ".npz"), "array", "give them by their own path"),
    (
        (".zip", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".rar", ".7z"),
        "packed archive",
        "unpack them first",
    ),
)
_BY_SUFFIX = {suffix: place for place, (suffixes, _, _) in enumerate(_KINDS) for suffix in suffixes}
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
        lower = name.lower()
        suffix = next((one for one in _DOUBLE if lower.endswith(one)), lower[max(lower.rfind("."), 0) :])
        if (place := _BY_SUFFIX.get(suffix)) is not None and not name.startswith("."):
            self._names.setdefault(place, []).append(shown)

    def notes(self) -> tuple[Message, ...]:
        """A sentence for each kind."""
        return tuple(_describe(place, names) for place, names in sorted(self._names.items()))


def _describe(place: int, names: Sequence[str]) -> Message:
    _, kind, advice = _KINDS[place]
    return Message(
        "not read: {files} ({names}); {advice}",
        id="reading.unread-kind",
        files=format_count(len(names), f"{kind} file"),
        names=list_some(names),
        advice=advice,
    )


def note_archives(archives: Iterable[str]) -> Message:
    """What is said of archives that lie among image files."""
    names = sorted(archives)
    return Message(
        "not read: {archives} among the image files ({names}); give them by their own path",
        id="reading.archive-among-images",
        archives=format_count(len(names), "archive"),
        names=list_some(names),
    )


def list_some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - MAX_NAMED:,} more" if len(ordered) > MAX_NAMED else ""
    return ", ".join(ordered[:MAX_NAMED]) + more
