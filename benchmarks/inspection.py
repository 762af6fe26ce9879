"""Inspection of real pictures: AUROC of the product's scores beside what needs no learning; time and memory.

    python benchmarks/inspection.py deeppcb DATA/deeppcb        printed boards with boxes around the defects
    python benchmarks/inspection.py elpv DATA/elpv_dataset/data  solar cells, `pip install elpv-dataset`

`deeppcb`: `train/good`, `test/good` and `test/bad`, with `test/boxes/NAME.txt` (x1 y1 x2 y2 kind).
`elpv`: the rows of `labels.csv`, numbered from 0, in blocks of 60, since modules follow one another. Rows of
probability 0 in blocks b with b % 3 ≠ 2 are trained on; rows of probability 0 or 1 in the others are tests.

A tenth of the training pictures is held out of the training of the network, of `elpv` every fourth block: on
these a detector is calibrated, and a score chosen by planted defects. Tune on a part of the training pictures
with planted defects; the test pictures are for one look at what was chosen.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import label
from sklearn.metrics import average_precision_score, roc_auc_score

import isthmus
from isthmus.api.detector_fitting import list_candidates
from isthmus.api.reference import fit_extractor_to_data as fit_extractor
from isthmus.atomic import write_text
from isthmus.features.anomalies import score
from isthmus.features.anomaly_kinds import Kind
from isthmus.features.detector_calibration import fit_to_pictures, make_plan
from isthmus.features.detector_choice import choose_parts
from isthmus.features.neighbourhood import nearest
from isthmus.features.normal_rows import NormalRows
from isthmus.features.picture_maps import Part
from isthmus.features.pictures import Pictures
from isthmus.features.position_statistics import PositionStatistics
from isthmus.features.readout import read_extractor
from isthmus.features.segmentation import segmentation_map
from isthmus.images.store import ImageSet
from isthmus.metrics.baselines import principal_subspace
from isthmus.model.autoencoder import Autoencoder

HELD_OUT = 0.1
FALSE_ALARMS = 0.01
BLOCK_ROWS = 60
PIXELS_SIDE = 64  # pictures are resized to it for baselines on pixels
KINDS: tuple[Kind, ...] = ("segmentation", "structure", "levels", "density", "neighbour", "local")
FALSE_REGIONS = (0.1, 0.3, 1.0, 3.0)  # per good picture
Picture = npt.NDArray[np.float32]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Protocol:
    """Paths of pictures; of each bad one boxes `(x1, y1, x2, y2)`, or none."""

    train: list[Path]
    good: list[Path]
    bad: list[Path]
    boxes: list[list[Box]]
    groups: list[str]  # of the training pictures

    def divide(self) -> tuple[list[int], list[int]]:
        """Rows of the training pictures: for the network, and held out."""
        names = sorted(set(self.groups))
        if len(names) < len(self.groups):
            held_names = set(names[2::4])
        else:
            order = np.random.default_rng(0).permutation(len(names))
            held_names = {names[i] for i in order[: round(HELD_OUT * len(names))]}
        held = [row for row, name in enumerate(self.groups) if name in held_names]
        return sorted(set(range(len(self.groups))) - set(held)), held


def read_deeppcb(folder: Path) -> Protocol:
    train, good, bad = (_pictures(folder / part) for part in ("train/good", "test/good", "test/bad"))
    # Boards are named NUMBER_test, their boxes NUMBER.
    names = [f"{picture_path.stem.removesuffix('_test')}.txt" for picture_path in bad]
    lines = [(folder / "test/boxes" / name).read_text("utf-8").splitlines() for name in names]
    boxes = [[_box(line) for line in part if line.strip()] for part in lines]
    return Protocol(train, good, bad, boxes, [path.name for path in train])


def _box(line: str) -> Box:
    left, top, right, bottom = (int(part) for part in line.replace(",", " ").split()[:4])
    return left, top, right, bottom


def read_elpv(folder: Path) -> Protocol:
    rows = [line.split() for line in (folder / "labels.csv").read_text("utf-8").splitlines() if line.strip()]
    train: list[Path] = []
    good: list[Path] = []
    bad: list[Path] = []
    groups: list[str] = []
    for number, (name, probability, *_) in enumerate(rows):
        is_test = number // BLOCK_ROWS % 3 == 2
        if float(probability) == 0 and not is_test:
            groups.append(f"block {number // BLOCK_ROWS:02}")
        if float(probability) == 0:
            (good if is_test else train).append(folder / name)
        elif is_test and float(probability) == 1:
            bad.append(folder / name)
    return Protocol(train, good, bad, [[] for _ in bad], groups)


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in (".png", ".jpg", ".bmp"))


PROTOCOLS: dict[str, Callable[[Path], Protocol]] = {"deeppcb": read_deeppcb, "elpv": read_elpv}


def measure_maps(
    model: Autoencoder,
    held: ImageSet,
    good: ImageSet,
    bad: ImageSet,
    boxes: list[list[Box]],
    *,
    ensemble: bool,
) -> dict[str, Any]:
    """AUROC of the highest deviation from what held-out good pictures have at each place."""
    find = partial(segmentation_map, model, ensemble=ensemble)
    statistics = PositionStatistics.fit(find(picture) for picture in _floats(held))
    began = time.perf_counter()
    maps = [statistics.normalise(find(picture)) for part in (good, bad) for picture in _floats(part)]
    seconds = (time.perf_counter() - began) / len(maps)
    scores = np.array([score_map.max() for score_map in maps])
    results = {**_rank(scores, len(good)), "seconds per picture": seconds}
    if any(boxes):
        results |= _measure_places(maps[: len(good)], maps[len(good) :], boxes)
    return results


def measure_scores(
    model: Autoencoder,
    normal: ImageSet,
    trained_count: int,
    groups: list[str],
    good: ImageSet,
    bad: ImageSet,
    only: Sequence[Kind] = (),
) -> dict[str, Any]:
    """Each score of the product, and what `--score auto` chooses, at `FALSE_ALARMS`.

    Args:
        normal: training pictures; the network was trained on the first `trained_count`.
        groups: of these.
        only: scores that are measured; nothing is chosen then.
    """
    extractor = read_extractor(model) or fit_extractor(model, normal)
    rows = NormalRows(model, extractor, Pictures(normal), np.arange(trained_count))
    plan = make_plan(groups, seed=0, used=np.arange(trained_count, len(normal)))
    results: dict[str, Any] = {}
    tried: dict[str, list[Part]] = {
        kind: [Part(kind, int(kind == "segmentation"), "max", {})] for kind in only or KINDS
    }
    if not only:
        sizes = [normal.image(i).shape[:2] for i in range(len(normal))]
        candidates = list_candidates(model, extractor.reading.size, sizes, None, None)
        chosen, table = choose_parts(rows, candidates, plan, false_alarms=FALSE_ALARMS, seed=0)
        results["planted defects, AUROC"] = table
        tried[f"auto: {' + '.join(part.title for part in chosen)}"] = chosen
    for name, parts in tried.items():
        detector = fit_to_pictures(rows, parts, plan, false_alarms=FALSE_ALARMS, seed=0)
        began = time.perf_counter()
        scores = np.concatenate([score(model, extractor, detector, part) for part in (good, bad)])
        flagged = scores > detector.threshold
        results[name] = {
            **_rank(scores, len(good)),
            "seconds per picture": (time.perf_counter() - began) / len(scores),
            "rate of the threshold": detector.false_alarms,
            "good flagged": float(flagged[: len(good)].mean()),
            "bad flagged": float(flagged[len(good) :].mean()),
        }
    return results


def _measure_places(good: list[Picture], bad: list[Picture], boxes: list[list[Box]]) -> dict[str, Any]:
    marked = []
    for score_map, own in zip(bad, boxes, strict=True):
        inside = np.zeros(score_map.shape, bool)
        for left, top, right, bottom in own:
            inside[top:bottom, left:right] = True
        marked.append(inside)
    pixels = np.concatenate([score_map.ravel() for score_map in bad])
    results: dict[str, Any] = {
        "pixel AUROC": float(
            roc_auc_score(np.concatenate([score_map.ravel() for score_map in marked]), pixels)
        )
    }
    for rate in FALSE_REGIONS:
        threshold = _threshold_of_regions(good, rate)
        touched = [
            bool((score_map[top:bottom, left:right] > threshold).any())
            for score_map, own in zip(bad, boxes, strict=True)
            for left, top, right, bottom in own
        ]
        results[f"boxes touched at {rate:g} false regions"] = float(np.mean(touched))
    return results


def _threshold_of_regions(good: list[Picture], rate: float) -> float:
    """The lowest threshold above which good pictures have at most `rate` regions on average."""
    low, high = 0.0, max(float(score_map.max()) for score_map in good)
    for _ in range(20):
        middle = (low + high) / 2
        regions = np.mean([label(score_map > middle)[1] for score_map in good])
        low, high = (low, middle) if regions <= rate else (middle, high)
    return high


def measure_baselines(train: ImageSet, good: ImageSet, bad: ImageSet) -> dict[str, dict[str, float]]:
    """What needs no network: brightness, principal components and nearest pictures."""
    count = len(good)
    parts = [list(_floats(images)) for images in (train, good, bad)]
    test = parts[1] + parts[2]
    results: dict[str, dict[str, float]] = {}
    statistics: tuple[tuple[str, Callable[[Picture], float]], ...] = (
        ("mean gray", lambda picture: float(picture.mean())),
        ("5th percentile of gray", lambda picture: float(np.percentile(picture, 5))),
    )
    for name, measure in statistics:
        usual = np.median([measure(picture) for picture in parts[0]])
        values = np.array([measure(picture) for picture in test])
        results[f"{name}, low"] = _rank(-values, count)
        results[f"{name}, unusual"] = _rank(np.abs(values - usual), count)
    normal_pictures, new = (torch.stack([_small(picture) for picture in part]) for part in (parts[0], test))
    subspace = principal_subspace([normal_pictures], min(64, len(normal_pictures) - 1))
    error = (subspace.decode(subspace.encode(new)) - new).square().mean(1)
    results["64 principal components"] = _rank(error.numpy(), count)
    distance, _ = nearest(new.numpy(), normal_pictures.numpy(), 1)
    results["nearest picture"] = _rank(distance[:, 0], count)
    return results


def _small(picture: Picture) -> torch.Tensor:
    picture_tensor = torch.from_numpy(picture).permute(2, 0, 1)[None]
    return torch.nn.functional.interpolate(picture_tensor, (PIXELS_SIDE, PIXELS_SIDE), mode="area").flatten()


def _rank(scores: npt.NDArray[Any], good: int) -> dict[str, float]:
    """How well high scores find what comes after the first `good`."""
    truth = np.arange(len(scores)) >= good
    return {
        "AUROC": float(roc_auc_score(truth, scores)),
        "average precision": float(average_precision_score(truth, scores)),
    }


def _floats(images: ImageSet) -> Sequence[Picture]:
    return [images.image(i).astype(np.float32) / np.float32(255) for i in range(len(images))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("protocol", choices=PROTOCOLS)
    parser.add_argument("data", type=Path, help="folder of the pictures, see above")
    parser.add_argument("-o", "--out", type=Path, default=Path("inspection-results"))
    parser.add_argument("--minutes", type=float, default=5.0, help="of training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--settings", nargs="*", default=[], metavar="KEY=VALUE", help="of the recipe")
    parser.add_argument(
        "--model", help="a trained model instead of a training; it may have seen all of train"
    )
    parser.add_argument("--scores", nargs="*", default=[], choices=KINDS, help="only these, and no maps")
    parser.add_argument("--ensemble", action="store_true", help="also look at mirror images")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    protocol = PROTOCOLS[arguments.protocol](arguments.data)
    rows, held_rows = protocol.divide()
    train, held = (isthmus.read([protocol.train[i] for i in part]) for part in (rows, held_rows))
    good, bad = isthmus.read(protocol.good), isthmus.read(protocol.bad)
    results: dict[str, Any] = {"baselines": measure_baselines(train, good, bad)}
    began, used = time.perf_counter(), time.process_time()
    if arguments.model:
        model = isthmus.load(arguments.model)
    else:
        out = arguments.out / f"{arguments.protocol}-{arguments.seed}.safetensors"
        model = isthmus.train(
            train,
            recipe="defects",
            settings=arguments.settings,
            minutes=arguments.minutes,
            seed=arguments.seed,
            augment_orientations=True,
            out=out,
            force=True,
        )
        results["training"] = {
            "seconds": time.perf_counter() - began,
            "processor seconds": time.process_time() - used,
        }
    if not arguments.scores:
        results["defects"] = measure_maps(model, held, good, bad, protocol.boxes, ensemble=arguments.ensemble)
    order = [*rows, *held_rows]
    normal = isthmus.read([protocol.train[i] for i in order])
    groups = [protocol.groups[i] for i in order]
    results["scores"] = measure_scores(model, normal, len(rows), groups, good, bad, arguments.scores)
    results["peak memory, GiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    text = json.dumps(results, indent=2)
    write_text(arguments.out / f"{arguments.protocol}-{arguments.seed}.json", text)
    print(text)


if __name__ == "__main__":
    main()
