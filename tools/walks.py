"""Follow images through the files of the package.

    python tools/walks.py [compress|denoise|anomalies|command|train]

One real call with default options is traced. A stop is a file with a function that takes images, or what has
become of them, and hands them on. A return is a stop at a file that was left before. Each function counts
once, when it is called first. Functions that only look at images are left out, and so are layers of networks.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

os.environ["ISTHMUS_THREADS"] = "1"  # what runs in other threads would not be seen

import numpy as np
import torch
from PIL import Image

import isthmus
from isthmus.__main__ import main as run_command

ROOT = f"{Path(isthmus.__file__).parent}/"
MIN_VALUES = 64  # a smaller array is no image
LAYERS = (
    *("model/backbones/", "model/bottlenecks/", "model/positions.py", "model/tensors.py"),
    *("model/seeded.py", "model/allocation.py", "threads.py", "messages.py"),
)
LOADING = {"load", "load_model", "codec_for", "network_of"}  # what moves there are weights
FOLDER, PHOTO = "photos", "photos/00.png"

WALKS: Mapping[str, Callable[[], object]] = {
    "compress": lambda: isthmus.compress(PHOTO),
    "denoise": lambda: isthmus.denoise(PHOTO),
    "anomalies": lambda: isthmus.anomalies("model.safetensors", FOLDER, normal=FOLDER),
    "command": lambda: run_command(["denoise", PHOTO, "-o", "clean.png", "--quiet"]),
    "train": lambda: isthmus.train(FOLDER, steps=4, code="8"),
}


def holds_images(value: Any, depth: int = 0) -> bool:
    """Whether a value is an image, the path of one, or holds one within two levels."""
    if isinstance(value, np.ndarray | torch.Tensor):
        return int(np.prod(value.shape)) >= MIN_VALUES
    if isinstance(value, bytes | bytearray):
        return len(value) >= MIN_VALUES
    if isinstance(value, str | os.PathLike):
        return os.fspath(value) == FOLDER or os.fspath(value).startswith(FOLDER + "/")
    if isinstance(value, Image.Image):
        return True
    if depth == 2 or isinstance(value, torch.nn.Module):
        return False
    if isinstance(value, list | tuple):
        return any(holds_images(item, depth + 1) for item in value[:4])
    if type(value).__module__.startswith("isthmus"):
        return any(
            holds_images(item, depth + 1) for item in list(getattr(value, "__dict__", {}).values())[:14]
        )
    return False


class Trail:
    """The functions that handed images on, in the order of their first calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.handed_on: set[int] = set()
        self._codes: set[object] = set()
        self._open: dict[FrameType, int] = {}
        self._loading: list[FrameType] = []

    def trace(self, frame: FrameType, event: str, result: Any) -> None:
        """The function for `sys.setprofile`."""
        code = frame.f_code
        if event == "return":
            if frame in self._loading:
                self._loading.remove(frame)
            number = self._open.pop(frame, None)
            if number is not None and holds_images(result):
                self.handed_on.add(number)
        elif event == "call" and code.co_filename.startswith(ROOT):
            file = code.co_filename.removeprefix(ROOT)
            if code.co_name in LOADING:
                self._loading.append(frame)
            if (
                self._loading
                or code in self._codes
                or code.co_name.startswith("<")
                or file.startswith(LAYERS)
            ):
                return
            arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            if any(holds_images(frame.f_locals.get(name)) for name in arguments):
                self._codes.add(code)
                self._open[frame] = len(self.calls)
                self.calls.append((file, code.co_name))

    def show(self) -> str:
        """One line per stop, and the number of returns."""
        stops: list[tuple[str, list[str]]] = []
        for number, (file, function) in enumerate(self.calls):
            if number in self.handed_on:
                if not stops or stops[-1][0] != file:
                    stops.append((file, []))
                stops[-1][1].append(function)
        lines, left = [], set[str]()
        for file, functions in stops:
            lines.append(f"{'return' if file in left else '      '} {file:34} {', '.join(functions)}")
            left.add(file)
        return "\n".join([*lines, f"{len(left)} files, {len(stops) - len(left)} returns"])


def write_photos() -> None:
    """24 noisy colour images of 64 x 64 pixels."""
    Path(FOLDER).mkdir()
    random, ramp = np.random.default_rng(0), np.linspace(0, 255, 64)
    for number in range(24):
        image = ramp[None, :, None] * random.random(3) + ramp[:, None, None] * random.random(3) / 2
        noisy = (image + random.normal(0, 8, image.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(f"{FOLDER}/{number:02}.png")


def main(names: list[str]) -> None:
    os.chdir(tempfile.mkdtemp())
    write_photos()
    for name in names or WALKS:
        if name == "anomalies":
            isthmus.train(FOLDER, steps=4, code="8", out="model.safetensors")
        trail = Trail()
        sys.setprofile(trail.trace)
        try:
            WALKS[name]()
        finally:
            sys.setprofile(None)
        print(f"\n{name}\n{trail.show()}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
