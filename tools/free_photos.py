"""Gather photographs under free licences to train on, as PNG pieces of moderate size.

    python tools/free_photos.py FOLDER             about 210 pieces from 190 MB of downloads, a minute
    python tools/free_photos.py FOLDER --gray --also bsds500/train --also bsds500/test

Writes FOLDER/train, FOLDER/tune (40 pieces of photographs that are not in `train`) and
FOLDER/sources.json with name, licence and origin of every photograph. The photographs come from Debian
packages of wallpapers (`apt-get download`; the list below holds the photographs among them, chosen by
eye: no drawings and no renderings) and from the wheel of scikit-learn; the samples of scikit-image are
left out, because the package's own measurements use them. Those that were coded as JPEG are reduced to
half their size or less, which averages the coding's blocks away. `--also` adds the images of a folder,
every fifteenth to tune on, as they are or at a part of their size (`--shrink 0.67`: a codec must not
learn JPEG's blocks); `--gray` writes luminance. Needs Debian or a system like it, and scikit-learn.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LONGEST = 2048  # of a photograph after reduction
PIECE = 512  # longest side of a piece; a photograph is cut evenly
HELD_OUT = 40
EVERY = 4  # one photograph in so many is held out, until there are 40 pieces
OF_ONE = 5  # pieces held out of one photograph: the rest of it is used nowhere
OTHERS_EVERY = 15
FLAT = 1.2  # a piece whose mean step between neighbours is less than this (of 255) teaches nothing


@dataclass(frozen=True)
class Source:
    """Photographs of one origin: `paths` inside the package, all under `licence`."""

    package: str
    licence: str
    paths: tuple[str, ...]


def _plasma(*names: str) -> tuple[str, ...]:
    return tuple(f"usr/share/wallpapers/{name}/contents/images/2560x1600.jpg" for name in names)


def _backgrounds(*names: str) -> tuple[str, ...]:
    return tuple(f"usr/share/backgrounds/{name}.jpg" for name in names)


DEBIAN = (
    Source(
        "plasma-workspace-wallpapers",
        "LGPL-3 (each picture's metadata.json)",
        _plasma(
            *("BytheWater", "ColdRipple", "ColorfulCups", "EveningGlow", "FallenLeaf"),
            *("Grey", "Kite", "OneStandsOut", "Path", "summer_1am"),
        ),
    ),
    Source(
        "mate-backgrounds",
        "GPL-2+ (debian/copyright)",
        _backgrounds(
            *("mate/nature/Aqua", "mate/nature/Blinds", "mate/nature/Dune", "mate/nature/FreshFlower"),
            *("mate/nature/Garden", "mate/nature/GreenMeadow", "mate/nature/LadyBird"),
            *("mate/nature/RainDrops", "mate/nature/Storm", "mate/nature/TwoWings", "mate/nature/Wood"),
            "mate/nature/YellowFlower",
        ),
    ),
    Source(
        "lomiri-wallpapers-16.04",
        "CC-BY-4.0 (debian/copyright)",
        _backgrounds(
            *("Picture_0B_by_freespace", "Picture_1A_by_freespace", "Wine_by_Jakkub_Mede"),
            *("aitzgorri_by_Aitzol_Berasategi", "friends_by_Aitzol_Berasategi"),
            *("life_by_Aitzol_Berasategi", "picosdeeuropa_by_Aitzol_Berasategi"),
            "sunset_by_Aitzol_Berasategi",
        ),
    ),
    Source(
        "lomiri-wallpapers-16.04",
        "CC-BY-SA-4.0 (debian/copyright)",
        _backgrounds(
            *("Bridge_by_Sander_Klootwijk", "Dragonfly_by_Bolly", "free_by_Peter_Nerlich"),
            "greentock_by_Peter_Nerlich",
        ),
    ),
    Source(
        "lomiri-wallpapers-16.04",
        "CC0-1.0 (debian/copyright)",
        _backgrounds("seeding_by_Clements_Engelhardt"),
    ),
    Source(
        "lomiri-wallpapers-20.04",
        "CC-BY-SA-3.0 (debian/copyright)",
        _backgrounds("Kleiber_by_Lukas_Baubkus"),
    ),
)
PALAPELI = tuple(
    Source(
        "palapeli-data", f"{licence} (the picture's .desktop)", (f"usr/share/palapeli/collection/{name}.jpg",)
    )
    for name, licence in (
        ("castle-maintenon", "GFDL"),
        ("cincinnati-bridge", "public domain"),
        ("citrus-fruits", "public domain"),
        ("european-honey-bee", "public domain"),
        ("panther-chameleon-female", "GFDL"),
    )
)
SKLEARN = ("china.jpg", "flower.jpg")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gray", action="store_true")
    parser.add_argument("--also", type=Path, action="append", default=[], metavar="FOLDER")
    parser.add_argument(
        "--shrink", type=float, default=1.0, help="the size of --also images, as a part of theirs"
    )
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    mode = "L" if arguments.gray else "RGB"
    for part in ("train", "tune"):
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir(parents=True)
    with tempfile.TemporaryDirectory() as unpacked:
        photos = [*debian_photos(Path(unpacked)), *wheel_photos()]
        records = write_photos(sorted(photos, key=lambda entry: entry[1]["name"]), folder, mode)
    for other in arguments.also:
        records += write_others(other, folder, mode, arguments.shrink)
    (folder / "sources.json").write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n")
    count = {part: sum(r["pieces"] for r in records if r["part"] == part) for part in ("train", "tune")}
    print(f"{len(records)} photographs: {count['train']} pieces to train on, {count['tune']} to tune on")


def write_photos(photos: list[tuple[Path, dict[str, str]]], folder: Path, mode: str) -> list[dict[str, Any]]:
    """Cut each photograph and write its pieces to one of the two parts; copies are left out."""
    records: list[dict[str, Any]] = []
    hashes: set[str] = set()
    held_out = 0
    for number, (path, record) in enumerate(photos):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        if content in hashes:
            continue
        hashes.add(content)
        pieces = [piece for piece in cut(reduced(path)) if detail(piece) >= FLAT]
        part = "tune" if number % EVERY == 2 and held_out < HELD_OUT else "train"
        if part == "tune":
            pieces = spread(pieces, min(OF_ONE, HELD_OUT - held_out))
            held_out += len(pieces)
        for index, piece in enumerate(pieces):
            piece.convert(mode).save(folder / part / f"{record['name']}-{index}.png")
        records.append({**record, "part": part, "pieces": len(pieces), "sha256": content})
    return records


def write_others(other: Path, folder: Path, mode: str, shrink: float) -> list[dict[str, Any]]:
    """The images of a folder, at `shrink` times their size."""
    records: list[dict[str, Any]] = []
    for number, path in enumerate(sorted(p for p in other.iterdir() if p.suffix in (".jpg", ".png"))):
        part = "tune" if number % OTHERS_EVERY == 7 else "train"
        name = f"{other.name}-{path.stem}"
        with Image.open(path) as image:
            shrunk(image.convert(mode), 1 / shrink).save(folder / part / f"{name}.png")
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        record = _record(name, "as its collection says", f"{other.parent.name}/{other.name}/{path.name}")
        records.append({**record, "part": part, "pieces": 1, "sha256": content})
    return records


def debian_photos(folder: Path) -> list[tuple[Path, dict[str, str]]]:
    """Paths of the photographs of all packages, unpacked under `folder`, with their records."""
    sources = (*DEBIAN, *PALAPELI)
    packages = sorted({source.package for source in sources})
    subprocess.run(["apt-get", "download", *packages], cwd=folder, check=True, capture_output=True)
    for archive in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", archive, folder / archive.name.partition("_")[0]], check=True)
    photos = []
    for source in sources:
        for inside in source.paths:
            path = folder / source.package / inside
            name = path.parts[-4] if "wallpapers" in path.parts else path.stem
            photos.append((path, _record(name, source.licence, f"Debian: {source.package}/{inside}")))
    return photos


def wheel_photos() -> list[tuple[Path, dict[str, str]]]:
    """The photographs that come with scikit-image and scikit-learn."""
    import sklearn.datasets

    folder = Path(sklearn.datasets.__file__).parent / "images"
    return [
        (folder / n, _record(f"sklearn-{Path(n).stem}", "CC-BY-2.0", f"scikit-learn: {n}")) for n in SKLEARN
    ]


def _record(name: str, licence: str, origin: str) -> dict[str, str]:
    return {"name": name.replace(" ", "-"), "licence": licence, "origin": origin}


def reduced(path: Path) -> Image.Image:
    """The photograph as RGB, at half its size or less where it was coded as JPEG."""
    with Image.open(path) as opened:
        least = 2.0 if opened.format == "JPEG" else 1.0
        image = opened.convert("RGB")
    return shrunk(image, max(least, max(image.size) / LONGEST))


def shrunk(image: Image.Image, factor: float) -> Image.Image:
    """The image at one `factor`-th of its size."""
    if factor == 1.0:
        return image
    size = (round(image.width / factor), round(image.height / factor))
    return image.resize(size, Image.Resampling.LANCZOS)


def cut(image: Image.Image) -> list[Image.Image]:
    """Equal pieces, none with a side above `PIECE`."""
    columns, rows = -(-image.width // PIECE), -(-image.height // PIECE)
    width, height = image.width // columns, image.height // rows
    return [
        image.crop((c * width, r * height, (c + 1) * width, (r + 1) * height))
        for r in range(rows)
        for c in range(columns)
    ]


def spread(pieces: list[Image.Image], count: int) -> list[Image.Image]:
    """`count` of the pieces, or all, from all over the photograph."""
    count = min(count, len(pieces))
    return [pieces[i] for i in np.linspace(0, len(pieces) - 1, count).round().astype(int)]


def detail(image: Image.Image) -> float:
    """Mean absolute difference of neighbouring gray values, of 255."""
    gray = np.asarray(image.convert("L"), dtype=np.float64)
    return float((np.abs(np.diff(gray, axis=0)).mean() + np.abs(np.diff(gray, axis=1)).mean()) / 2)


if __name__ == "__main__":
    main()
