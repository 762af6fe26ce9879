"""How probable unseen digits are to a small variational autoencoder, beside pythae's of the same network.

    python benchmarks/likelihood.py --minutes 15
    python benchmarks/likelihood.py --minutes 15 --pythae peers/bin/python   (benchmarks/peers/pythae_vae.py)

784-400-40 on MNIST made black and white once: pixel p becomes 1 with probability p, drawn with seed 0, the
same pictures for both. −ln p(x) of the test split in nats, from 200 importance samples (Burda et al. 2016).
pythae reports 89.78 after about a thousand epochs, on another draw.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import isthmus

RECIPE = (
    "--recipe", "variational", "--code", "40", "--set", "backbone=dense", "--set", "backbone.width=400",
    "--precision", "float32",
)  # fmt: skip


def binarise(folder: Path) -> dict[str, Path]:
    """One Bernoulli draw of every pixel, seed 0, the training split first."""
    random = np.random.default_rng(0)
    files = {}
    for split in ("train", "test"):
        grey = np.asarray(isthmus.read(f"mnist:{split}").pixels)[..., 0]
        files[split] = folder / f"binary-{split}.npz"
        np.savez(files[split], images=((random.random(grey.shape) * 255 < grey) * 255).astype(np.uint8))
    return files


def ours(files: dict[str, Path], minutes: float, folder: Path) -> dict[str, float]:
    model = str(folder / "vae.safetensors")
    common = [sys.executable, "-m", "isthmus"]
    length = ["--minutes", str(minutes)]
    train = [*common, "train", str(files["train"]), *RECIPE, *length, "-o", model, "--json", "--force"]
    trained = json.loads(subprocess.run(train, check=True, stdout=subprocess.PIPE).stdout)
    evaluate = [*common, "evaluate", model, str(files["test"]), "--nll-samples", "200", "--json"]
    metrics = json.loads(subprocess.run(evaluate, check=True, stdout=subprocess.PIPE).stdout)["metrics"]
    return {"nll_nats": metrics["nll_nats"], "elbo": metrics["elbo"], "seconds": trained["seconds"]}


def pythae(python: str, files: dict[str, Path], minutes: float, folder: Path) -> dict[str, float]:
    script = Path(__file__).parent / "peers" / "pythae_vae.py"
    out = folder / "pythae.json"
    subprocess.run(
        [python, str(script), str(files["train"]), str(files["test"]), str(minutes), str(out)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    result: dict[str, float] = json.loads(out.read_text())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=15, help="of training, for each (default 15)")
    parser.add_argument("--pythae", metavar="PYTHON", help="an interpreter that has pythae 0.1.2")
    parser.add_argument("--only", choices=["isthmus", "pythae"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = binarise(folder)
        if options.only != "pythae":
            print("isthmus", json.dumps(ours(files, options.minutes, folder)), flush=True)
        if options.pythae and options.only != "isthmus":
            print("pythae", json.dumps(pythae(options.pythae, files, options.minutes, folder)), flush=True)


if __name__ == "__main__":
    main()
