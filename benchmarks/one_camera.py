"""Pictures of one fixed camera: a folder of like photographs to train a codec on, and later ones to measure.

    python benchmarks/one_camera.py FOLDER
    isthmus train FOLDER/train --from photo-codec --crop 128 --set optimiser.batch=8 \\
        --set optimiser.rate=6e-4 --patience 0 --minutes 15 -o square.safetensors
    python benchmarks/compression.py FOLDER/held --model square.safetensors

The pictures are frames of `vtest.avi`, people who cross a square, from Debian's package opencv-doc (OpenCV's
samples; Apache-2.0 and BSD-3-Clause by its copyright file): 160 of the first 80 % of the time to train on and
15 of the last 15 % to measure. They are reduced to half their side, 384×288, which averages the video's own
coding away. Needs Debian or a system like it, and OpenCV.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

PACKAGE, VIDEO = "opencv-doc", "usr/share/doc/opencv-doc/examples/data/vtest.avi"
SIZE = (384, 288)
TRAINED, HELD = range(0, 640, 4), range(675, 795)
HELD_EVERY = 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    import cv2

    with tempfile.TemporaryDirectory() as place:
        subprocess.run(["apt-get", "download", PACKAGE], cwd=place, check=True)
        archive = next(Path(place).glob("*.deb"))
        subprocess.run(["dpkg-deb", "-x", archive, place], check=True)
        video = cv2.VideoCapture(f"{place}/{VIDEO}")
        for part in ("train", "held"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        number = 0
        while (frame := video.read())[0]:
            part = "train" if number in TRAINED else "held"
            if number in TRAINED or (number in HELD and number % HELD_EVERY == 0):
                small = cv2.resize(frame[1], SIZE, interpolation=cv2.INTER_AREA)
                cv2.imwrite(str(folder / part / f"{number:04}.png"), small)
            number += 1


if __name__ == "__main__":
    main()
