"""Whether augmentation through the code helps: few labelled Fashion-MNIST images, a fixed small classifier.

    python benchmarks/augmentation.py                             about half an hour on one core
    python benchmarks/augmentation.py --seeds 1 --shots 20 --quick
    python benchmarks/augmentation.py --data scans/ --model scans.safetensors --shots 20 --seeds 3

For 20, 50 and 100 labelled images per class and five draws of them, the same classifier (`isthmus.training.
classifier`, no augmentation of its own) is trained for the same number of steps on

- the labelled images alone;
- classic: these and shifted or mirrored ones;
- code, own: these and images made through an autoencoder that saw only the labelled images;
- code, all: the same, the autoencoder having seen all 60,000 training images without their labels;
- code, all + classic: the same, those images shifted or mirrored as well.

There are NEW times as many new images as labelled ones, of `mixup` and `moves`. Then imbalance: one class has
1 % of the images of the others; recall of that class on the test split without and with `--balance`.
A folder with one sub-folder per class is split as `new_images.py` does; then there are also `samples` of the
model's codes, and no imbalance. The model must not have learned the labels: its priors are left out.
Everything is measured on the test images, once. Results go to --out as JSON and to the screen.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from new_images import split

import isthmus
from isthmus.generation.prior_store import list_priors
from isthmus.images.conform import joined
from isthmus.images.store import ImageSet
from isthmus.training.classifier import predictions, train_classifier

DATA = "fashion-mnist"
NEW = 5
WAYS = ("labelled only", "classic", "code, own", "code, all", "code, all + classic")
FOLDER_WAYS = ("labelled only", "classic", "code, all", "samples, all", "code, all + classic")
SMALL_CLASS = 6  # shirts: the class that is hardest to tell apart
STUDENT = (4.303, 3.182, 2.776)  # 97.5 % quantiles of Student's t for 3, 4 and 5 values


def drawn(images: ImageSet, shots: dict[int, int], seed: int) -> ImageSet:
    assert images.labels is not None
    random = np.random.default_rng(seed)
    return images.subset(
        np.concatenate(
            [random.choice(np.flatnonzero(images.labels == k), n, replace=False) for k, n in shots.items()]
        )
    )


def own_model(few: ImageSet, steps: int, seed: int) -> Any:
    return isthmus.train(
        few, recipe="conv", code="48", settings=["bottleneck=gaussian", "bottleneck.weight=0.005"],
        steps=steps, seed=seed, validation=0.0, precision="bfloat16",
    )  # fmt: skip


def right(few: ImageSet, test: ImageSet, steps: int, seed: int) -> np.ndarray:
    network = train_classifier(
        few, steps=steps, batch=64, shift=0, seed=seed, precision="bfloat16", classes=len(test.classes)
    )
    return predictions(network, test) == test.labels


def with_more(few: ImageSet, model: Any, seed: int, **options: Any) -> ImageSet:
    made = isthmus.augment(model, few, NEW * len(few), seed=seed, **options).images
    return joined((few, made), source=few.source)


def make_set(way: str, few: ImageSet, model: Any, own_steps: int, seed: int) -> ImageSet:
    """The images that a classifier is trained on."""
    match way:
        case "labelled only":
            return few
        case "classic":
            return with_more(few, model, seed, methods=["distortions"])
        case "code, own":
            return with_more(few, own_model(few, own_steps, seed), seed)
        case "samples, all":
            return with_more(few, model, seed, methods=["samples"])
        case _:
            return with_more(few, model, seed, also_distort=way == "code, all + classic")


def few_labels(arguments: argparse.Namespace, train: ImageSet, test: ImageSet, model: Any) -> dict[str, Any]:
    table: dict[str, dict[str, list[float]]] = {}
    for shots in arguments.shots:
        ways = FOLDER_WAYS if Path(arguments.data).is_dir() else WAYS
        rows: dict[str, list[float]] = {way: [] for way in ways}
        for seed in range(arguments.seeds):
            few = drawn(train, dict.fromkeys(range(len(test.classes)), shots), seed)
            for way in ways:
                images = make_set(way, few, model, arguments.own_steps, seed)
                rows[way].append(float(right(images, test, arguments.steps, seed).mean()))
            print(shots, seed, {way: round(values[-1], 4) for way, values in rows.items()}, flush=True)
        table[str(shots)] = rows
    return table


def imbalance(arguments: argparse.Namespace, train: ImageSet, test: ImageSet, model: Any) -> dict[str, Any]:
    accuracies: dict[str, list[list[float]]] = {
        "as it is": [],
        "balanced by code": [],
        "drawn equally often": [],
    }
    usual = 500
    for seed in range(arguments.seeds):
        shots = {**dict.fromkeys(range(10), usual), SMALL_CLASS: usual // 100}
        few = drawn(train, shots, seed)
        made = isthmus.augment(model, few, balance=True, also_distort=True, seed=seed).images
        more = joined((few, made), source=few.source)
        equally = train_classifier(
            few, steps=arguments.steps, batch=64, shift=0, seed=seed, precision="bfloat16",
            classes=10, balance=True,
        )  # fmt: skip
        answers = {
            "as it is": right(few, test, arguments.steps, seed),
            "balanced by code": right(more, test, arguments.steps, seed),
            "drawn equally often": predictions(equally, test) == test.labels,
        }
        for way, hits in answers.items():
            accuracies[way].append([float(hits[test.labels == SMALL_CLASS].mean()), float(hits.mean())])
        print("imbalance", seed, {way: values[-1] for way, values in accuracies.items()}, flush=True)
    return accuracies


def written(values: list[float]) -> str:
    """Mean ± half the width of the 95 % interval, in per cent."""
    half = STUDENT[len(values) - 3] * np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 2 else 0
    return f"{100 * np.mean(values):.1f} ± {100 * half:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default=DATA, help="or a folder")
    parser.add_argument("--shots", type=int, nargs="+", default=[20, 50, 100])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400, help="of the classifier")
    parser.add_argument("--own-steps", type=int, default=500, help="of the autoencoder of labelled images")
    parser.add_argument("--model", type=Path, default=Path("generation") / f"{DATA}.safetensors",
                        help="trained on all training images, see benchmarks/generation.py")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("augmentation.json"))
    parser.add_argument("--quick", action="store_true", help="few steps: only that it runs")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.steps = arguments.own_steps = 20
    torch.set_num_threads(1)
    is_folder = Path(arguments.data).is_dir()
    if is_folder:
        train, test = split(isthmus.read(arguments.data))
    else:
        train, test = isthmus.read(arguments.data), isthmus.read(f"{arguments.data}:test")
    model = isthmus.load(arguments.model)
    for kind in list_priors(model):
        model.attachments.pop(f"prior/{kind}", None)
    table = few_labels(arguments, train, test, model)
    few = {} if is_folder else imbalance(arguments, train, test, model)
    arguments.out.write_text(json.dumps({"few": table, "imbalance": few}, indent=1))
    ways = FOLDER_WAYS if is_folder else WAYS
    print("| labelled per class |", " | ".join(ways), "|\n|---" * 1 + "|---" * len(ways) + "|")
    for shots, rows in table.items():
        print(f"| {shots} |", " | ".join(written(rows[way]) for way in ways), "|")
    if few:
        print("\n| 1 % of one class | its recall | accuracy |\n|---|---|---|")
    for way, values in few.items():
        recall, accuracy = ([v[i] for v in values] for i in (0, 1))
        print(f"| {way} | {written(recall)} | {written(accuracy)} |")


if __name__ == "__main__":
    main()
