"""Denoising and inpainting beside the classical methods, in one run on the same images with the same noise.

    python benchmarks/restoration.py FOLDER                        σ 15, 25, 50, and five kinds of mask
    python benchmarks/restoration.py bsds500/val --bsd68 --gray    the 68 images of the literature
    python benchmarks/restoration.py FOLDER --images 4 --strip seen.png
    python benchmarks/restoration.py FOLDER --files                noise as files hold it: in 8 bits, cut off
    python benchmarks/restoration.py TUNE --tune                   parameters of the classical methods

The protocol is that of the literature: additive white Gaussian noise, float, not clipped, seed 0; PSNR of the
result clipped to [0, 1], averaged over images. Inpainting is measured on the whole image, known pixels
included. scikit-image, OpenCV and bm3d are used where they are installed (extra `bench`). Their parameters
were tuned on images that are measured nowhere. One thread each; times are per image.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from restoring.denoisers import denoisers
from restoring.images import read
from restoring.inpainters import inpainters
from restoring.protocol import denoising, inpainting
from restoring.tuning import tune

from isthmus.model.loading import load_shared


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bsd68", action="store_true")
    parser.add_argument("--gray", action="store_true")
    parser.add_argument("--files", action="store_true", help="round noisy images to 8 bits, as files do")
    parser.add_argument("--images", type=int, help="only so many, evenly chosen")
    parser.add_argument("--only", choices=["denoise", "inpaint"])
    parser.add_argument("--sigmas", default="15,25,50")
    parser.add_argument(
        "--missing", help="kinds of masks, separated by commas, such as 'blocks'; all by default"
    )
    parser.add_argument("--methods", help="names, separated by commas; all by default")
    parser.add_argument("--model", help="another than the shipped one")
    parser.add_argument("--strip", type=Path, help="a picture of the first image under every method")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--tune", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images = list(read(arguments.folder, arguments))
    print(f"{len(images)} images of {arguments.folder}")
    if arguments.tune:
        tune(images)
        return
    model = None if arguments.model is None else load_shared(arguments.model)
    names = arguments.methods.split(",") if arguments.methods else None
    results: dict[str, Any] = {"images": len(images), "folder": arguments.folder.name}
    if arguments.only != "inpaint":
        methods = {k: v for k, v in denoisers(model).items() if names is None or k in names}
        results["denoise"] = denoising(
            images, methods, [float(s) for s in arguments.sigmas.split(",")], arguments
        )
    if arguments.only != "denoise":
        fillers = {k: v for k, v in inpainters(model).items() if names is None or k in names}
        results["inpaint"] = inpainting(images, fillers, arguments)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
