"""New MNIST and Fashion-MNIST images, measured: an autoencoder, its priors, one table per data set.

    python benchmarks/generation.py fashion-mnist               about 25 minutes on one core
    python benchmarks/generation.py mnist                       about 12
    python benchmarks/generation.py fashion-mnist --quick       that it runs, in a minute

Everything is kept in --folder, so an interrupted run goes on: the autoencoder (48 or 96 numbers, lightly
variational: decoding bears codes that are a little off), its mixture and its flow, by `isthmus.train` and
`isthmus.fit_prior` on the training split. The table compares 10,000 samples with the 10,000 test images.
`--peer NAME=FILE.npz` adds images that another program made (benchmarks/peers/pythae_generation.py).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

import isthmus
from isthmus.evaluation.generation import evaluate_generation
from isthmus.generation.flow import Flow
from isthmus.generation.prior_store import fit_prior, read_prior
from isthmus.generation.sampling import sample_images
from isthmus.images.outputs import write_images
from isthmus.model.autoencoder import Autoencoder
from isthmus.reports.tables import format_table

# By data set: numbers in the code, steps of the autoencoder and of the flow. Garments have more to say than
# digits; chosen by reconstructions of 10,000 training images that were held out.
BUDGETS = {
    "mnist": ("48", 5000, 2500),
    "fashion-mnist": ("96", 12_000, 6000),
    "fashion-sample": ("48", 2000, 1000),
}
SETTINGS = ("bottleneck=gaussian", "bottleneck.weight=0.005")


def trained(data: str, path: Path, steps: int, code: str) -> Autoencoder:
    if path.exists():
        return isthmus.load(path)
    resume = path.with_name(f"{path.name.removesuffix('.safetensors')}.resume.safetensors").exists()
    return isthmus.train(
        data, recipe="conv", code=code, settings=SETTINGS, out=path, resume=resume, steps=steps,
        precision="bfloat16", patience=0, seed=0,
    )  # fmt: skip


def fitted(model: Autoencoder, path: Path, data: str, kinds: list[str], steps: int) -> dict[str, float]:
    seconds = {}
    for kind in kinds:
        if f"prior/{kind}" not in model.attachments:
            started = time.monotonic()
            fit_prior(
                model, data, kind=kind, steps=steps, batch=1024, precision="bfloat16",
                listener=lambda p: print(p.step, p.validation, f"{p.images_per_second:.0f}/s", flush=True),
            )  # fmt: skip
            model.attachments[f"prior/{kind}"].facts["wall_seconds"] = time.monotonic() - started
            model.save(path)
        seconds[kind] = float(model.attachments[f"prior/{kind}"].facts["wall_seconds"])
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", choices=("mnist", "fashion-mnist", "fashion-sample"))
    parser.add_argument("--folder", type=Path, default=Path("generation"))
    parser.add_argument("--code")
    parser.add_argument("--steps", type=int, help="of the autoencoder")
    parser.add_argument("--flow-steps", type=int)
    parser.add_argument("--kinds", default="gaussian,mixture,flow")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--features")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=FILE.npz")
    parser.add_argument("--until", choices=("model", "priors", "table"), default="table")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    quick = arguments.quick
    path = arguments.folder / f"{arguments.data}.safetensors"
    code, steps, flow_steps = BUDGETS[arguments.data]
    steps, flow_steps = arguments.steps or steps, arguments.flow_steps or flow_steps
    model = trained(arguments.data, path, 40 if quick else steps, arguments.code or code)
    print("autoencoder:", model.summary["seconds"], "seconds", flush=True)
    if arguments.until == "model":
        return
    kinds = arguments.kinds.split(",")
    seconds = fitted(model, path, arguments.data, kinds, 30 if quick else flow_steps)
    print("priors:", seconds, flush=True)
    if arguments.until == "priors":
        return
    peers = {}
    for given in arguments.peer:
        name, _, file = given.partition("=")
        peers[name] = isthmus.read(file).stack(range(len(isthmus.read(file))))
    base = {}
    if "flow" in kinds:
        refined = read_prior(model, "flow")
        assert isinstance(refined, Flow)
        base["the mixture that the flow refines"] = sample_images(model, refined.base, arguments.count)
    result = evaluate_generation(
        model, f"{arguments.data}:test", count=500 if quick else arguments.count, priors=kinds[::-1],
        features=arguments.features, others=base | peers, say=lambda text: print(text, flush=True),
    )  # fmt: skip
    print(format_table(*result.table()))
    print(result.memory.ratio, result.memory.copied, result.features)
    document = result.to_dict() | {"training_seconds": model.summary["seconds"], "prior_seconds": seconds}
    (arguments.folder / f"{arguments.data}.json").write_text(json.dumps(document, indent=1))
    for kind in kinds:
        sheet = arguments.folder / f"{arguments.data}-{kind}.png"
        write_images(sheet, sample_images(model, read_prior(model, kind), 64), force=True)


if __name__ == "__main__":
    main()
