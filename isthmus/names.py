"""Names that come from files (archive members, classes, listings) as paths below an output folder.

    relative = safe_paths(["../../x.png", "C:\\\\y.png", "a/b.png"])     # ("x.png", "y.png", "a/b.png")
    target = below("out", relative[0])                                 # out/x.png, checked after links

`safe_path` accepts every text, also `..`, absolute paths and names that Windows reserves, and gives a
relative path that every common file system can hold. The name shown to the user does not change.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from isthmus.errors import OutputError
from isthmus.outputs import native_path

MAX_COMPONENT_BYTES = 255  # ext4, APFS, NTFS and others
SHORTENED_BYTES = 200  # of a part that was longer: room for what programs append to a name
MAX_PATH_BYTES = 2048  # half of what Linux accepts; the output folder needs the rest
MAX_FOLDERS = 64
EMPTY_NAME = "unnamed"

# Windows: device names, with any suffix ("Naming Files, Paths, and Namespaces", Microsoft).
_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?=\s*(\.|/|$))", re.IGNORECASE
)
_DRIVE = re.compile(r"[A-Za-z]:(?=[/\\]|$)")
_RESERVED_CHARACTERS = '<>:"|?*'
_BIDI_CONTROLS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_LINE_SEPARATORS = "\u2028\u2029"
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}$")
# Most names: nothing to change in any part, so a million of them cost little.
_PLAIN_PART = r"[A-Za-z0-9_+,()@#=~!&-](?:[A-Za-z0-9_+,()@#=~!& .-]{0,98}[A-Za-z0-9_+,()@#=~!&-])?"
_PLAIN = re.compile(rf"{_PLAIN_PART}(?:/{_PLAIN_PART}){{0,9}}")
_RESERVED_PART = re.compile(rf"(?:^|/){_RESERVED.pattern}", re.IGNORECASE)


def safe_path(name: str) -> str:
    """A relative path with `/` for any name: never empty, never leaving the folder it is put below.

    A path that is safe already comes back unchanged. Otherwise drive letters, `.`, `..` and empty parts are
    dropped; backslashes separate parts; characters that a file system refuses become `_`; parts that are too
    long are cut and get a part of their hash.

    Args:
        name: any text, also with NUL, control characters or lone surrogates.
    """
    if _PLAIN.fullmatch(name) and not _RESERVED_PART.search(name):
        return name
    text = _DRIVE.sub("", name.replace("\\", "/"), count=1)
    parts = [safe_component(part) for part in text.split("/") if part.strip(" .")]
    if not parts:
        return EMPTY_NAME
    path = "/".join(parts)
    if len(path.encode()) > MAX_PATH_BYTES or len(parts) > MAX_FOLDERS:
        # The folders as one, distinguished by their hash; the file keeps its name.
        return f"{_hash('/'.join(parts[:-1]))}/{parts[-1]}"
    return path


def safe_component(name: str) -> str:
    """One part of a path, for any text: no separator, not empty, at most `MAX_COMPONENT_BYTES` in UTF-8."""
    text = "".join(_safe_character(character) for character in name)
    text = text.rstrip(" .") or (EMPTY_NAME if not text.strip(" .") else text)
    text = _RESERVED.sub(lambda match: f"{match[0]}_", text, count=1) if _RESERVED.match(text) else text
    return _shortened(text, name)


def safe_paths(names: Sequence[str], *, suffix: str | Sequence[str] | None = None) -> tuple[str, ...]:
    """`safe_path` of each name, all different, on file systems that ignore case or normalise Unicode as well.

    Args:
        suffix: replaces each name's own, for example ".png"; or one for each name. Where two names would then
            meet, both keep theirs before it: `a.jpg` and `a.tif` become `a.jpg.png` and `a.tif.png`.

    Returns:
        One path per name, in their order. None is a folder of another.
    """
    paths = [safe_path(name) for name in names]
    if suffix is None:
        return _apart(paths, [False] * len(paths))
    suffixes = [suffix] * len(paths) if isinstance(suffix, str) else list(suffix)
    short = [_with_suffix(path, ending) for path, ending in zip(paths, suffixes, strict=True)]
    count: dict[str, int] = {}
    for path in short:
        count[_key(path)] = count.get(_key(path), 0) + 1
    meets = [count[_key(path)] > 1 for path in short]
    outputs = [
        _appended(path, ending) if meet else brief
        for path, brief, meet, ending in zip(paths, short, meets, suffixes, strict=True)
    ]
    return _apart(outputs, meets)


def below(folder: str | os.PathLike[str], relative: str) -> Path:
    """The path of `relative` in `folder`; the last check before something is written.

    Raises:
        OutputError: links in the folder, or the path itself, lead outside of it.
    """
    return _all_below(folder, [relative])[0]


def safe_outputs(
    folder: str | os.PathLike[str], names: Sequence[str], *, suffix: str | Sequence[str] | None = None
) -> list[Path]:
    """`safe_paths` below a folder, each checked as by `below`.

    Raises:
        OutputError: links in the folder lead outside of it.
    """
    return _all_below(folder, safe_paths(names, suffix=suffix))


def safe_folders(folder: str | os.PathLike[str], names: Sequence[str]) -> list[Path]:
    """A sub-folder for each name, such as a class's: one part each, all different, checked as by `below`.

    Raises:
        OutputError: links in the folder lead outside of it.
    """
    parts = _apart([safe_component(name.replace("/", "-")) for name in names], [False] * len(names))
    return _all_below(folder, parts)


def _all_below(folder: str | os.PathLike[str], paths: Sequence[str]) -> list[Path]:
    top = Path(folder)
    real_top = _resolved(top)
    checked: set[Path] = set()
    places = []
    for path in paths:
        place = native_path(top.joinpath(*path.split("/")))
        for step in (place.parent, *([place] if place.is_symlink() else [])):
            if step in checked:
                continue
            real = _resolved(step)
            if not real.is_relative_to(real_top) or ".." in step.relative_to(top).parts:
                raise OutputError(
                    "cannot write {place}: it lies outside of {top}",
                    id="output.outside",
                    place=place,
                    top=top,
                )
            checked.add(step)
        places.append(place)
    return places


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        raise OutputError(
            "cannot write {path}: its links form a circle, or it is not a valid path",
            id="output.circular-links",
            path=path,
        ) from None


def _safe_character(character: str) -> str:
    if character in "/\\" or character in _RESERVED_CHARACTERS:
        return "_"
    if character in _BIDI_CONTROLS or character in _LINE_SEPARATORS:
        return "_"
    match unicodedata.category(character):
        case "Cc":
            return "_"
        case "Cs":
            return "\ufffd"
        case _:
            return character


def _with_suffix(path: str, suffix: str) -> str:
    folder, slash, name = path.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    return folder + slash + _shortened((stem if dot and stem.strip(".") else name) + suffix, path)


def _appended(path: str, ending: str) -> str:
    folder, slash, name = path.rpartition("/")
    return folder + slash + _shortened(name + ending, path)


def _shortened(name: str, original: str) -> str:
    if len(name.encode()) <= MAX_COMPONENT_BYTES:
        return name
    match = _SUFFIX.search(name)
    ending = f"~{_hash(original)}{match[0] if match else ''}"
    start = name.encode()[: SHORTENED_BYTES - len(ending.encode())]
    return start.decode("utf-8", "ignore").rstrip(" .") + ending


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _key(path: str) -> str:
    if path.isascii():
        return path.lower()
    # As macOS compares names: without case, decomposed.
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def _apart(paths: Sequence[str], later: Sequence[bool]) -> tuple[str, ...]:
    """The paths with a number where one is taken already; those marked `later` give way to the others."""
    files: set[str] = set()
    folders: set[str] = set()
    result = list(paths)
    numbers: dict[str, int] = {}  # where to continue, so that many equal names do not take quadratic time
    for index in sorted(range(len(paths)), key=lambda index: later[index]):
        path = candidate = paths[index]
        start = _key(path)
        number = numbers.get(start, 2)
        while True:
            key = _key(candidate)
            parent = next((up for up in _folders_of(key) if up in files), None)
            if parent is not None:  # a part of the way is a file
                depth = parent.count("/") + 1
                parts = candidate.split("/")
                way = _numbered("/".join(parts[:depth]), number)
                path = candidate = "/".join([way, *parts[depth:]])
            elif key in files or key in folders:
                candidate, number = _numbered(path, number), number + 1
            else:
                break
        numbers[start] = number
        files.add(key)
        folders.update(_folders_of(key))
        result[index] = candidate
    return tuple(result)


def _folders_of(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _numbered(path: str, number: int) -> str:
    folder, slash, name = path.rpartition("/")
    match = _SUFFIX.search(name)
    ending = match[0] if match and match.start() else ""
    numbered = _shortened(f"{name.removesuffix(ending)}-{number}{ending}", f"{path}\0{number}")
    return folder + slash + numbered
