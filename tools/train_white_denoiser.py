"""Train `photo-denoise-gray` or `photo-denoise-colour`, the denoisers of white noise of a given σ.

    python tools/free_photos.py photos --also bsds500/train --also bsds500/test
    python tools/train_white_denoiser.py photos -o gray.safetensors --minutes 600 --gray
    python tools/train_white_denoiser.py photos -o more.safetensors --minutes 600 --gray --from gray.safetensors
    python tools/train_white_denoiser.py photos -o deep.safetensors --minutes 600 --gray \\
        --from gray.safetensors --set backbone.blocks=4

Each image of a batch has noise of one σ, drawn evenly from 0 to 55 (of 255), which the network is told.
`--from` may name a network of fewer blocks a stage: blocks that it lacks begin as the identity, so a deeper
network starts from what the shallower one has learned (Chen et al. 2016, "Net2Net"). Budget, rate, loss,
averaged weights and resuming are those of `train_real_denoiser.py`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from train_real_denoiser import options_parser, run

from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.backbones.blocks import Block
from isthmus.model.backbones.linear_path import silence
from isthmus.model.loading import load
from isthmus.model.recipes import recipe

NETWORK = ("objective.image=psnr",)


@torch.no_grad()
def take_weights(model: Autoencoder, start: Autoencoder) -> None:
    """Copy the weights of `start`; blocks that it lacks add nothing at first."""
    known = start.state_dict()
    for name, module in model.named_modules():
        if isinstance(module, Block) and f"{name}.layers.1.weight" not in known:
            silence(module.last_convolution())
    model.load_state_dict(model.state_dict() | known)


def white_denoiser(settings: list[str], start: Path | None, *, channels: int, crop: int) -> Autoencoder:
    """The recipe `denoising` changed by `settings`, with random weights or those of `start`."""
    model = build(
        recipe("denoising").with_settings([*NETWORK, *settings]), channels=channels, size=(crop, crop)
    )
    if start is not None:
        take_weights(model, load(start))
    return model


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--gray", action="store_true", help="train on the luminance")
    arguments = parser.parse_args()
    channels = 1 if arguments.gray else 3
    model = white_denoiser(arguments.settings, arguments.start, channels=channels, crop=arguments.crop)
    run(arguments, model)


if __name__ == "__main__":
    main()
