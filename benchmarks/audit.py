"""Planted near duplicates that `isthmus audit` must find, and what the data sets hold by themselves.

    python benchmarks/audit.py fashion-mnist                   # 70,000 images, 200 planted of each kind
    python benchmarks/audit.py fashion-mnist --images 6000 --planted 50      # half a minute

The set's own pairs are found first, without anything planted; then copies are planted and what is found
beyond both is counted. Planted copies are drawn with another seed than the audit's own distortions.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from isthmus.evaluation.audit.duplicate_limits import KINDS, Distortion, distort_all, mirror
from isthmus.evaluation.audit.duplicates import find_duplicates
from isthmus.images.conform import joined
from isthmus.images.reading import read
from isthmus.images.store import ImageSet
from isthmus.reports.image_sheets import draw_image_rows


def both(name: str, most: int | None) -> ImageSet:
    train, test = read(f"{name}:train"), read(f"{name}:test")
    joined_set = joined((train, test), source=train.source, like=train)
    joined_set = replace(joined_set, names=tuple(map(str, range(len(joined_set)))))
    return (
        joined_set
        if most is None
        else joined_set.subset(np.linspace(0, len(joined_set) - 1, most).astype(int))
    )


def planted(images: ImageSet, count: int, seed: int) -> tuple[ImageSet, dict[str, list[tuple[int, int]]]]:
    """The images with copies behind them, and which pairs were planted."""
    random = np.random.default_rng(seed)
    kinds: dict[str, Distortion] = {
        **KINDS,
        "crop, brightness, JPEG": distort_all,
        "all four": lambda image, rng: mirror(distort_all(image, rng), rng),
    }
    chosen = random.choice(len(images), count * len(kinds), replace=False)
    copies, pairs = [], {name: [] for name in kinds}
    for number, index in enumerate(chosen):
        name = list(kinds)[number // count]
        copies.append(kinds[name](images.image(int(index)), random))
        pairs[name].append((int(index), len(images) + number))
    more = ImageSet(np.stack(copies), tuple(f"planted {n}" for n in range(len(copies))))
    return joined((images, more), source=images.source, like=images), pairs


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--images", type=int)
    parser.add_argument("--planted", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--out", help="write the result as JSON, and pictures of the set's own pairs")
    arguments = parser.parse_args()
    images = both(arguments.data, arguments.images)
    began = time.process_time()
    own = find_duplicates(images)
    result: dict[str, object] = {
        "data": arguments.data,
        "images": len(images),
        "own_exact": len(own.exact),
        "own_near": len(own.near),
        "own_near_per_1000": 1000 * len(own.near) / len(images),
        "cpu_seconds": round(time.process_time() - began, 1),
    }
    print(json.dumps(result), flush=True)
    if arguments.out:
        pairs = own.near[:60]
        rows = []
        for start in range(0, len(pairs), 15):
            part = pairs[start : start + 15]
            title = " ".join(f"{p.error:.4f}{'m' if p.mirrored else ''}" for p in part)
            rows += [
                (title, [images.image(p.first) for p in part]),
                ("", [images.image(p.second) for p in part]),
            ]
        if rows:
            Path(f"{arguments.out}.png").write_bytes(draw_image_rows(rows, columns=15))
    own_pairs = {(pair.first, pair.second) for pair in own.pairs}
    enlarged, planted_pairs = planted(images, arguments.planted, arguments.seed)
    reported = {(pair.first, pair.second) for pair in find_duplicates(enlarged).pairs}
    result["recall"] = {
        name: float(np.mean([p in reported for p in pairs])) for name, pairs in planted_pairs.items()
    }
    source = {copy: original for pairs in planted_pairs.values() for original, copy in pairs}
    others = {tuple(sorted((source.get(a, a), source.get(b, b)))) for a, b in reported}
    beyond = {pair for pair in others if pair[0] != pair[1] and pair not in own_pairs}
    single = [result["recall"][name] for name in KINDS]  # type: ignore[index]
    result["recall_all_single"] = float(np.mean(single))
    result["unplanted_beyond_own"] = len(beyond)
    result["unplanted_per_1000"] = 1000 * (len(beyond) + len(own.near)) / len(images)
    result["cpu_seconds_planted"] = round(time.process_time() - began - float(result["cpu_seconds"]), 1)  # type: ignore[arg-type]
    print(json.dumps(result, indent=1))
    if arguments.out:
        Path(f"{arguments.out}.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
