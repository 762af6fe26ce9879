"""Train a codec of photographs in stages that may be days apart.

    python tools/free_photos.py photos --shrink 0.67 --also bsds500/train --also bsds500/test
    python tools/train_codec.py photos -o codec.safetensors --minutes 140
    python tools/train_codec.py photos -o codec.safetensors --minutes 280 --resume
    python tools/ship_codec.py codec.safetensors photos/train

`--minutes` is the whole budget, with all resumed parts. The learning rate is constant and falls to zero in
the last fifth of the budget, so each stage ends with a model that can be used; a stage that is resumed with a
larger budget goes on at the full rate (Hägele et al. 2024, "Scaling laws and compute-optimal training beyond
fixed training durations"). With `--steps` the budget is in steps, for comparisons.

The loss is that of the recipe: bits and squared errors, with an own rate for each image of a batch.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from train_real_denoiser import Pieces, Training, mean_psnr, options_parser, read_options, run

from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.loading import load
from isthmus.model.recipes import recipe
from isthmus.training.optimisers import build_optimiser
from isthmus.training.players import players_of

WARMUP_STEPS = 60
NETWORK = (  # 288 numbers and this range of λ reach 40 dB; narrow fine stages and a light correction are fast
    "code=288@16",
    "backbone.decoder=shallow",
    "backbone.overlap=true",
    "backbone.width=48-96-128",
    "backbone.finest=0",
    "bottleneck.low=0.0007",
    "bottleneck.high=0.3",
)
DECAY_SHARE = 0.2  # of the budget, at its end
COLOUR_BATCHES = 50  # whose mean colour an untrained codec starts at


class CodecTraining(Training):
    """Bits and squared errors, at a rate that is constant until the last part of the budget."""

    def build_optimiser(self) -> torch.optim.Optimizer:
        (self.player,) = players_of(self.model)
        return build_optimiser(self.player)

    def measure(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        trace = self.model.trace(images, generator)
        per_image, parts = self.player.objective(trace)
        errors = (trace.output - images).square().flatten(1).mean(1)
        bits = float(parts["rate"]) / (images.shape[-2] * images.shape[-1] * 0.6931472)
        loss = per_image.mean()
        return loss, {"loss": float(loss.detach()), "bits": bits, "psnr": mean_psnr(errors)}

    def progress(self) -> float:
        steps = self.options.max_steps
        return super().progress() if steps is None else min(1.0, self.steps / steps)

    def rate_factor(self) -> float:
        """Linear warm-up, constant, and linear to zero."""
        return min(1.0, (self.steps + 1) / WARMUP_STEPS, (1 - self.progress()) / DECAY_SHARE)


def codec(settings: list[str], start: Path | None, folder: Path, *, crop: int) -> Autoencoder:
    """The network that is to be shipped, changed by `settings`, which begins at the mean colour of the
    photographs in `folder`; or the model to start from.
    """
    if start is not None:
        model = load(start)
        model.requires_grad_(True)
        return model
    model = build(recipe("codec").with_settings([*NETWORK, *settings]), channels=3, size=(crop, crop))
    generator = torch.Generator().manual_seed(0)
    pieces = Pieces(folder, torch.device("cpu"), crop=crop)
    colours = torch.stack([pieces.draw(8, generator).mean((0, 2, 3)) for _ in range(COLOUR_BATCHES)])
    model.start_at(colours.mean(0), torch.tensor(0.25))
    return model


def main() -> None:
    parser = options_parser(__doc__)
    parser.set_defaults(precision="float32", crop=128, rate=5e-4)
    arguments = parser.parse_args()
    model = codec(arguments.settings, arguments.start, arguments.folder / "train", crop=arguments.crop)
    run(arguments, CodecTraining(model, read_options(arguments)))


if __name__ == "__main__":
    main()
