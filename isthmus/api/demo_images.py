"""Images for the page of the demo: shipped ones as files that can be looked at, searched and trained on."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from isthmus.api.inputs import PathLike, read_images

IMAGES = 300
_DATA = "fashion-sample:test"


def write_demo_images(out: PathLike) -> str:
    """Write `OUT/images`: garments in a folder for each class, and a photograph; what is there is kept.

    Returns:
        The folder.

    Raises:
        OutputError: it cannot be written.
    """
    from isthmus.images.named import PHOTO
    from isthmus.images.write import save_image
    from isthmus.outputs import check_folder

    folder = Path(out) / "images"
    images = read_images(_DATA, limit=IMAGES)
    for row in range(len(images)):
        label = "all" if images.labels is None else images.classes[int(images.labels[row])]
        place = folder / "garments" / re.sub(r"\W+", "-", label).strip("-").lower()
        target = place / f"{row:03d}.png"
        if not target.exists():
            check_folder(place).mkdir(parents=True, exist_ok=True)
            save_image(target, images.image(row))
    photo = folder / "photos" / PHOTO.name
    if not photo.exists():
        check_folder(photo.parent).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PHOTO, photo)
    return os.fspath(folder)
