"""The small classifiers in whose features generated images are compared: train, measure, write.

    python tools/feature_networks.py mnist                     two and a half minutes on one core
    python tools/feature_networks.py fashion-mnist             nine minutes

Each writes isthmus/evaluation/feature_networks/NAME.safetensors (16-bit weights) and NAME.json with its hash
and its accuracy on the test split. They are fixed before any generator is trained, and never trained again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

import isthmus
from isthmus.evaluation.feature_network import FOLDER, write_features
from isthmus.training.classifier import accuracy, train_classifier

EPOCHS = {"mnist": 10, "fashion-mnist": 36}
LICENCES = {
    "mnist": "MNIST (LeCun, Cortes and Burges): CC BY-SA 3.0",
    "fashion-mnist": "Fashion-MNIST (Zalando Research): MIT",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", choices=sorted(EPOCHS))
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images, test = isthmus.read(arguments.data), isthmus.read(f"{arguments.data}:test")
    epochs = arguments.epochs or EPOCHS[arguments.data]
    started = time.monotonic()
    network = train_classifier(
        images,
        steps=round(epochs * len(images) / 128),
        rate=3e-3,
        shift=1,
        mirror=arguments.data != "mnist",
        precision="bfloat16",
        listener=lambda p: print(p.step, p.steps, f"{p.images_per_second:.0f}/s", p.losses, flush=True),
    )
    seconds = time.monotonic() - started
    card = {
        "data": arguments.data,
        "licences": LICENCES[arguments.data],
        "fingerprint": images.fingerprint(),
        "epochs": epochs,
        "seed": 0,
        "seconds": round(seconds),
        "test_accuracy": accuracy(network.half().float(), test),
        "command": f"python tools/feature_networks.py {arguments.data}",
    }
    digest = write_features(arguments.out / f"{arguments.data}.safetensors", network, card)
    print(json.dumps({**card, "hash": digest}, indent=1))


if __name__ == "__main__":
    main()
