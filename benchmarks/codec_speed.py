"""Encoding and decoding speed beside CompressAI's bmshj2018-hyperprior, in paired runs on one 768×512 image.

    python benchmarks/codec_speed.py --peer compressai-env/bin/python --pairs 7
    python benchmarks/codec_speed.py --pairs 3                                   ours alone

`--peer` is the Python of an environment with compressai (benchmarks/peers/compressai_hyperprior.py). Runs
of both alternate, so that a busy machine slows both; a ratio is the median over pairs of theirs by ours. Ours
is from pixels to the bytes of a file with its checksums, and back; theirs from pixels to strings, and back,
without a container. Seconds by the clock and of processor time are both given.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

KEYS = ("encode", "decode", "encode_cpu", "decode_cpu")
PEER = Path(__file__).parent / "peers" / "compressai_hyperprior.py"


def photograph(path: str | None) -> np.ndarray:
    """(512, 768, 3) uint8."""
    if path is not None:
        image = Image.open(path).convert("RGB")
    else:
        from skimage import data

        image = Image.fromarray(data.coffee())
    return np.asarray(image.resize((768, 512), Image.Resampling.LANCZOS))


def ours(image: np.ndarray, model: Any, quality: float, effort: int) -> dict[str, float]:
    import isthmus

    began = time.perf_counter(), time.process_time()
    made = isthmus.compress(image, quality=quality, model=model, effort=effort)
    middle = time.perf_counter(), time.process_time()
    isthmus.decompress(made, model=model)
    end = time.perf_counter(), time.process_time()
    seconds = {"encode": middle[0] - began[0], "decode": end[0] - middle[0]}
    return seconds | {"encode_cpu": middle[1] - began[1], "decode_cpu": end[1] - middle[1]}


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--peer", help="Python of an environment with compressai")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--quality", type=float, default=50)
    parser.add_argument("--effort", type=int, default=0)
    parser.add_argument("--photo", help="instead of scikit-image's cup of coffee; resized to 768×512")
    parser.add_argument("--model", help="a codec model; default: the shipped one")
    parser.add_argument("--json", help="write all runs to this file")
    args = parser.parse_args()
    import torch

    import isthmus

    torch.set_num_threads(args.threads)
    image = photograph(args.photo)
    model = None if args.model is None else isthmus.load(args.model)
    runs: dict[str, list[dict[str, float]]] = {"isthmus": [], "compressai": []}
    with tempfile.TemporaryDirectory() as folder:
        peer = None
        if args.peer:
            np.save(f"{folder}/image.npy", image)
            command = [args.peer, str(PEER), f"{folder}/image.npy", "--threads", str(args.threads)]
            threads = {"OMP_NUM_THREADS": str(args.threads)}
            peer = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | threads
            )
            assert peer.stdin is not None and peer.stdout is not None
            print("peer:", peer.stdout.readline().strip())
        for number in range(args.pairs + 1):  # the first of each warms up
            mine = ours(image, model, args.quality, args.effort)
            if number:
                runs["isthmus"].append(mine)
            if peer is not None and peer.stdin is not None and peer.stdout is not None:
                peer.stdin.write("go\n")
                peer.stdin.flush()
                theirs = json.loads(peer.stdout.readline())
                if number:
                    runs["compressai"].append(theirs)
        if peer is not None:
            peer.communicate()
    megapixels = image.shape[0] * image.shape[1] / 1e6
    for name, coder_runs in runs.items():
        if coder_runs:
            rates = {key: f"{megapixels / median(run[key] for run in coder_runs):.2f}" for key in KEYS}
            print(f"{name}, {args.threads} threads, MP/s: {rates}")
    if runs["compressai"]:
        pairs = list(zip(runs["compressai"], runs["isthmus"], strict=True))
        ratios = {key: f"{median(theirs[key] / mine[key] for theirs, mine in pairs):.1f}" for key in KEYS}
        print(f"as fast as compressai, times: {ratios}")
    if args.json:
        Path(args.json).write_text(json.dumps(runs, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
