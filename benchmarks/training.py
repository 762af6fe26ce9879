"""Training and inference speed on the same four networks: Isthmus, PyTorch, pythae, Keras, the machine.

    python benchmarks/training.py --folder speed                          about half an hour on one core
    python benchmarks/training.py --folder speed --networks dense --turns 3 --no-losses

Peers live in virtual environments of their own, made under --folder at the first run. Every contender is a
process that waits until it is told to train for a turn, so all take turns within one run; medians over turns
are compared, the first turn is left out. With one thread the clock is the processor's (time that others take
from this core doesn't count), with more the wall's. `fashion-mnist` and `cifar10` must be found by name.
Results go to FOLDER/training.json and FOLDER/training.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from speed.contender import Contender, PeerError
from speed.environments import python_of
from speed.points import NETWORKS
from speed.tables import rate, training_table, verdict_table, verdicts

import isthmus
from isthmus.atomic import write_text

HERE = Path(__file__).parent
DATA = {"gray": "fashion-mnist", "colour": "cifar10"}
USES = {"encode": "encode", "decode": "decode", "folder": "a folder, reading included"}
FOLDER_IMAGES = 1024
KINDS = ("Isthmus", "Isthmus float32", "PyTorch", "pythae", "Keras float32", "Keras mixed_bfloat16")
USERS = KINDS[:3]  # who also encodes and decodes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("speed"))
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--contenders", default=",".join(KINDS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--core", type=int, help="run everything on this core (Linux)")
    parser.add_argument("--turns", type=int, default=7, help="of training; 0 measures inference alone")
    parser.add_argument("--no-losses", action="store_true", help="do not compare losses of the precisions")
    asked = parser.parse_args()
    if asked.core is not None:
        os.sched_setaffinity(0, {asked.core})
    folder: Path = asked.folder
    folder.mkdir(parents=True, exist_ok=True)
    clock = "busy" if asked.threads == 1 else "seconds"
    results: dict[str, Any] = {"machine": machine(), "threads": asked.threads, "clock": clock, "networks": {}}
    limit = started("limit", "", folder, asked.threads) if asked.turns else None
    limits = [] if limit is None else [limit.order("measure")]
    for name in asked.networks.split(","):
        results["networks"][name] = network(
            name, asked.contenders.split(","), folder, asked.threads, asked.turns, clock
        )
        if not asked.no_losses:
            results["networks"][name]["loss"] = losses(name)
        if limit is not None:
            limits.append(limit.order("measure"))
            results["limit"] = limit_of(limits, limit.facts["operations"], results)
        report(results, folder)
    if limit is not None:
        limit.end()


def machine() -> dict[str, Any]:
    name = platform.processor()
    info = Path("/proc/cpuinfo")
    sets: list[str] = []
    if info.exists():
        lines = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        facts = {key.strip(): value.strip() for key, value in lines.items()}
        name = facts.get("model name", name)
        flags = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")
        sets = [flag for flag in flags if flag in facts.get("flags", "").split()]
    return {"processor": name, "cores": os.cpu_count(), "instructions": sets}


def started(kind: str, name: str, folder: Path, threads: int) -> Contender:
    """A contender's process, ready for orders."""
    log = folder / f"{kind.replace(' ', '-')}-{name or 'all'}.log"
    if kind == "limit":
        words = [sys.executable, str(HERE / "speed" / "limit.py"), str(threads), str(NETWORKS["conv"].batch)]
        return Contender(kind, words, threads=threads, log=log)
    chosen = NETWORKS[name]
    pixels, images = data(name, folder)
    common = [name, str(pixels), str(chosen.batch), str(threads)]
    peers = HERE / "peers"
    match kind:
        case "Isthmus" | "Isthmus float32":
            precision = "bfloat16" if kind == "Isthmus" else "float32"
            script = HERE / "speed" / "isthmus_training.py"
            words = [sys.executable, str(script), *common, str(images), precision]
        case "PyTorch":
            words = [sys.executable, str(peers / "torch_training.py"), *common, str(images)]
        case "pythae":
            words = [python_of("pythae", folder), str(peers / "pythae_training.py"), *common, "-"]
        case _:
            policy = kind.removeprefix("Keras ")
            words = [python_of("keras", folder), str(peers / "keras_training.py"), *common, policy]
    return Contender(kind, words, threads=threads, log=log)


def network(
    name: str, kinds: Sequence[str], folder: Path, threads: int, turns: int, clock: str
) -> dict[str, Any]:
    """All contenders on one network, turn by turn."""
    contenders = [started(kind, name, folder, threads) for kind in kinds]
    counts = {contender.name: contender.facts["parameters"] for contender in contenders}
    if len(set(counts.values())) != 1:
        raise PeerError(f"the networks called {name} differ: {counts}")
    taken: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in contenders}
    for turn in range(turns + 1 if turns else 0):
        for contender in contenders:
            answer = contender.order("train")
            if turn:
                taken[contender.name].append(answer)
        print(f"{name}: turn {turn} of {turns}", file=sys.stderr, flush=True)
    used: dict[str, dict[str, list[dict[str, float]]]] = {use: {} for use in USES}
    for turn in range(4):
        for use in USES:
            for contender in contenders:
                if contender.name not in USERS:
                    continue
                answer = contender.order(use)
                if turn:
                    used[use].setdefault(contender.name, []).append(answer)
    for contender in contenders:
        contender.end()
    versions = {k: v for contender in contenders for k, v in contender.facts.items() if k != "parameters"}
    return {
        "parameters": next(iter(counts.values())),
        "batch": NETWORKS[name].batch,
        "versions": versions,
        "rates": {kind: rate(answers, clock) for kind, answers in taken.items() if answers},
        "wall": {kind: rate(answers, "seconds") for kind, answers in taken.items() if answers},
        "inference": {
            use: {kind: rate(answers, clock)["median"] for kind, answers in kinds.items()}
            for use, kinds in used.items()
        },
    }


def data(name: str, folder: Path) -> tuple[Path, Path]:
    """The images of a turn as an array, and some of them as a folder of PNG files."""
    chosen = NETWORKS[name]
    pixels, images = folder / f"{name}.npy", folder / f"{chosen.images}-images"
    if not pixels.exists():
        np.save(pixels, isthmus.read(DATA[chosen.images]).pixels[: chosen.per_turn])
    if not images.exists():
        unfinished = images.with_name(images.name + "-unfinished")
        unfinished.mkdir(exist_ok=True)
        for index, image in enumerate(isthmus.read(DATA[chosen.images]).pixels[:FOLDER_IMAGES]):
            picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
            picture.save(unfinished / f"{index:05}.png")
        unfinished.rename(images)
    return pixels, images


def losses(name: str) -> dict[str, float]:
    """Validation loss after equally many steps in both precisions, through `isthmus.train`."""
    chosen = NETWORKS[name]
    pixels = isthmus.read(DATA[chosen.images]).pixels[:4000]
    validation_losses = {}
    for precision in ("float32", "bfloat16"):
        recipe = chosen.recipe.with_settings({"optimiser.batch": 64})
        model = isthmus.train(pixels, recipe=recipe, epochs=LOSS_EPOCHS[name], precision=precision)
        validation_losses[precision] = model.summary["best"]["validation"]
    return validation_losses


LOSS_EPOCHS = {"dense": 6, "small-conv": 4, "conv": 2, "attention": 2}


def limit_of(
    limits: list[dict[str, Any]], operations: dict[str, int], results: dict[str, Any]
) -> dict[str, Any]:
    """The best of what was measured, and the contenders' shares of it."""
    peaks = {key: max(measured["peaks"][key] for measured in limits) for key in limits[0]["peaks"]}
    kernels, passes = (min(measured[key] for measured in limits) for key in ("kernels", "passes"))
    shares = {
        name: {
            kind: operations[name] * measured["median"] / peaks["bfloat16 product"]
            for kind, measured in row["rates"].items()
        }
        for name, row in results["networks"].items()
    }
    limit = {
        "peaks": peaks,
        "bandwidth": max(measured["bandwidth"] for measured in limits),
        "conv_kernels_seconds": kernels,
        "conv_passes_seconds": passes,
        "operations": operations,
        "shares_of_bfloat16_peak": shares,
    }
    if "conv" in results["networks"]:
        best = limits[0]["images"] / (kernels + passes)
        limit["conv_images_per_second"] = best
        limit["share"] = results["networks"]["conv"]["rates"]["Isthmus"]["median"] / best
    return limit


def report(results: dict[str, Any], folder: Path) -> None:
    """Write what is known so far."""
    results["verdicts"] = verdicts(results)
    write_text(folder / "training.json", json.dumps(results, indent=1))
    tables = f"{training_table(results)}\n\n{verdict_table(results['verdicts'])}\n".lstrip()
    write_text(folder / "training.md", tables)
    print(tables, flush=True)


if __name__ == "__main__":
    main()
