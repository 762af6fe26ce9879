"""Train the blind denoiser `photo-denoise-real` on photographs, on a CPU or a GPU, in a given time.

    python tools/free_photos.py photos --also bsds500/train --also bsds500/test
    python tools/train_real_denoiser.py photos -o real.safetensors --minutes 65
    python tools/train_real_denoiser.py photos -o real.safetensors --minutes 65 --resume
    python tools/train_real_denoiser.py photos -o more.safetensors --minutes 600 --from real.safetensors

Photographs are held on the device as 8-bit pieces; crops, orientations and noise are drawn there (JPEG is
coded on the CPU). The budget is wall-clock time, pauses included, and the learning rate follows it down
to zero, so that a training ends when it was planned to. The state is saved every few minutes beside the
model, and with it the model of the averaged weights; `--resume` continues with the time that is left. The
loss is the logarithm of the mean squared error of each image, as in `objective.image=psnr`, with a
ceiling that rises from 28 to 45 dB: images without noise would outweigh all others. With `--from` it is 45
dB from the start.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.file import save
from isthmus.model.loading import load
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import recipe
from isthmus.model.trace import Trace
from isthmus.training import state as checkpoints
from isthmus.training.optimisers import WeightAverage
from isthmus.version import __version__

PSNR_CEILING = 28.0, 45.0  # dB, at first and at last
CEILING_SHARE = 0.2  # of the budget in which it rises; none where the network has learned before
WARMUP_STEPS = 200
EMA_DECAY = 0.999
MAX_GRADIENT = 1.0
NETWORK = ("corruption=real-noise", "objective.image=psnr")


@dataclass(frozen=True)
class Options:
    """What a training is asked for; `minutes` is its whole budget, with all resumed parts."""

    minutes: float
    batch: int = 8
    crop: int = 96
    rate: float = 1e-3
    seed: int = 0
    save_minutes: float = 4.0
    max_steps: int | None = None
    clock: str = "wall"
    precision: str = "bfloat16"
    ceiling_share: float = CEILING_SHARE


class Pieces:
    """Images of one folder on a device, of which random crops in random orientations are drawn.

    With one channel they are the luminance of the images.
    """

    def __init__(self, folder: Path, device: torch.device, *, crop: int, channels: int = 3) -> None:
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".png", ".jpg"))
        self.crop, self.device = crop, device
        images = (_read(path, "L" if channels == 1 else "RGB") for path in paths)
        self.images = [tensor for tensor in images if min(tensor.shape[1:]) >= crop]
        if not self.images:
            raise SystemExit(f"no images of at least {crop}×{crop} pixels in {folder}")
        self.images = [tensor.to(device) for tensor in self.images]

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """`(count, channels, crop, crop)` float32 in [0, 1]."""
        numbers = torch.rand(count, 4, generator=generator, device=self.device).tolist()
        batch = torch.stack([self._crop(*row) for row in numbers]).float() / 255
        return batch.contiguous(memory_format=torch.channels_last)

    def _crop(self, which: float, down: float, along: float, turn: float) -> Tensor:
        image = self.images[int(which * len(self.images))]
        top, left = (
            int(place * (side - self.crop + 1))
            for place, side in zip((down, along), image.shape[1:], strict=True)
        )
        way = int(turn * 8)
        part = torch.rot90(image[:, top : top + self.crop, left : left + self.crop], way % 4, (1, 2))
        return part.flip(2) if way >= 4 else part


def _read(path: Path, mode: str) -> Tensor:
    with Image.open(path) as opened:
        array = np.array(opened.convert(mode))
    return torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1).contiguous()


def mean_psnr(errors: Tensor) -> float:
    """In dB, of squared errors `(N,)` of values in [0, 1]."""
    return -10 * float(errors.detach().clamp_min(1e-6).log10().mean())


class Training:
    """The state of a training: weights, their average, the optimiser, elapsed seconds and steps."""

    def __init__(self, model: Autoencoder, options: Options) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model, self.options = model.to(self.device).train(), options
        self.model.precision = getattr(torch, options.precision)
        self.average = WeightAverage(self.model, EMA_DECAY)
        self.optimiser = self.build_optimiser()
        self.steps, self.seconds = 0, 0.0

    def build_optimiser(self) -> torch.optim.Optimizer:
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        return torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 1e-4}, {"params": others, "weight_decay": 0.0}],
            lr=self.options.rate,
            betas=(0.9, 0.99),
        )

    def step(self, images: Tensor, generator: torch.Generator) -> dict[str, float]:
        """One step on a clean batch; the means over it that are logged, from before the step."""
        rate = self.options.rate * self.rate_factor()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss, logged = self.measure(images, generator)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT)
        self.optimiser.step()
        self.average.update(self.steps)
        self.steps += 1
        return logged

    def measure(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, with gradients, and what is logged of it."""
        trace = self.model.trace(images, generator)
        errors = (trace.output - trace.corrupted.target).square().flatten(1).mean(1)
        return self.loss(trace, errors), {"psnr": mean_psnr(errors)}

    def loss(self, trace: Trace, errors: Tensor) -> Tensor:  # noqa: ARG002
        """A scalar to be made small, of the mean squared `errors (N,)` of the outputs."""
        return (errors + 10 ** (-self.psnr_ceiling() / 10)).log10().mean()

    def psnr_ceiling(self) -> float:
        """It rises: images with little noise would keep a network at the identity that it starts as."""
        first, last = PSNR_CEILING
        share = self.options.ceiling_share
        return first + (last - first) * (min(1.0, self.progress() / share) if share else 1.0)

    def progress(self) -> float:
        return min(1.0, self.seconds / (60 * self.options.minutes))

    def rate_factor(self) -> float:
        """Linear warm-up, then a cosine over the budget down to zero."""
        return min(1.0, (self.steps + 1) / WARMUP_STEPS) * 0.5 * (1 + math.cos(math.pi * self.progress()))

    def save(self, path: Path, data: str) -> None:
        """Write the state, and the model of the averaged weights."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.tensors.items()}
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        for index, parameter in enumerate(parameters):
            for key, value in self.optimiser.state[parameter].items():
                tensors[f"optimiser.{index}.{key}"] = value
        facts = {"recipe": self.model.recipe.to_dict(), "steps": self.steps, "seconds": self.seconds}
        tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
        checkpoints.save(checkpoints.resume_path(path), checkpoints.Checkpoint(facts, tensors))
        self.model.summary = {
            "version": __version__,
            "data": {"source": data},
            "options": {"turn": True},
            "settled": {"seed": self.options.seed, "steps": self.steps, "batch": self.options.batch},
            "threads": torch.get_num_threads(),
            "steps": self.steps,
            "seconds": round(self.seconds, 1),
            "best": None,
        }
        with self.average.swapped_in():
            save(self.model, path)

    def resume(self, path: Path) -> None:
        """Raises:
        ModelFileError: there is no state of a training beside `path`.
        """
        saved = checkpoints.load(checkpoints.resume_path(path))
        of = {
            part: {k.removeprefix(part): v for k, v in saved.tensors.items() if k.startswith(part)}
            for part in ("model.", "average.", "optimiser.")
        }
        self.model.load_state_dict(of["model."])
        for key, value in of["average."].items():
            self.average.tensors[key].copy_(value)
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        for name, value in of["optimiser."].items():
            index, key = name.split(".", 1)
            parameter = parameters[int(index)]
            if key != "step":  # of the memory layout of its parameter, which a fused optimiser needs
                value = torch.empty_like(parameter).copy_(value)
            self.optimiser.state[parameter][key] = value
        self.steps, self.seconds = saved.facts["steps"], saved.facts["seconds"]


def train(folder: Path, out: Path, training: Training, *, resume: bool = False) -> None:
    """Train until the budget is used up; writes `out` and its state every few minutes."""
    options = training.options
    if resume:
        training.resume(out)
    channels = training.model.channels
    pieces = Pieces(folder, training.device, crop=options.crop, channels=channels)
    generator = torch.Generator(device=training.device)
    losses: list[dict[str, float]] = []
    now = time.process_time if options.clock == "cpu" else time.monotonic
    began, saved = now() - training.seconds, now()
    budget = 60 * options.minutes
    while training.seconds < budget and (options.max_steps is None or training.steps < options.max_steps):
        generator.manual_seed(options.seed * 2**32 + training.steps)  # a step depends on its number alone
        losses.append(training.step(pieces.draw(options.batch, generator), generator))
        training.seconds = now() - began
        if training.steps % 100 == 0:
            row = {"step": training.steps, "minutes": round(training.seconds / 60, 2)}
            row |= {
                key: round(sum(loss_row[key] for loss_row in losses) / len(losses), 4) for key in losses[0]
            }
            row["rate"] = training.optimiser.param_groups[0]["lr"]
            print(json.dumps(row), flush=True)
            losses.clear()
        if now() - saved > 60 * options.save_minutes:
            training.save(out, folder.name)
            saved = now()
    training.save(out, folder.name)


def network(
    settings: list[str], start: Path | None, *, crop: int, given: tuple[str, ...] = NETWORK
) -> Autoencoder:
    """The network of the shipped model, changed by `settings`, or that of the model to start from."""
    if start is not None:
        model = load(start)
        model.requires_grad_(True)
        return model
    point: Recipe = recipe("denoising").with_settings([*given, *settings])
    return build(point, channels=3, size=(crop, crop))


def options_parser(description: str | None) -> argparse.ArgumentParser:
    """The command line of a script that trains a restoration network."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="with a folder `train` of images")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall", help="cpu: compare networks on a busy machine"
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=96, help="side of an example in pixels")
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="stop after so many, whatever the time")
    parser.add_argument(
        "--precision",
        choices=["bfloat16", "float32"],
        default="bfloat16",
        help="bfloat16 is slow on a processor without instructions for it",
    )
    parser.add_argument("--from", dest="start", type=Path, help="a model to take first weights from")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--resume", action="store_true")
    return parser


def read_options(arguments: argparse.Namespace) -> Options:
    return Options(
        minutes=arguments.minutes,
        batch=arguments.batch,
        crop=arguments.crop,
        rate=arguments.rate,
        seed=arguments.seed,
        max_steps=arguments.steps,
        clock=arguments.clock,
        precision=arguments.precision,
        ceiling_share=0.0 if arguments.start else CEILING_SHARE,
    )


def run(arguments: argparse.Namespace, training: Training) -> None:
    """Train as the command line asks and print how far it came."""
    print(f"{sum(p.numel() for p in training.model.parameters()):,} parameters", flush=True)
    train(arguments.folder / "train", arguments.out, training, resume=arguments.resume)
    print(f"{arguments.out}: {training.steps:,} steps in {training.seconds / 60:.1f} minutes")


def main() -> None:
    arguments = options_parser(__doc__).parse_args()
    model = network(arguments.settings, arguments.start, crop=arguments.crop)
    run(arguments, Training(model, read_options(arguments)))


if __name__ == "__main__":
    main()
