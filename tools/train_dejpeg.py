"""Train `photo-dejpeg`, which removes the blocks and ringing of JPEG, on photographs in a given time.

    python tools/free_photos.py photos --also bsds500/train --also bsds500/test
    python tools/train_dejpeg.py photos -o dejpeg.safetensors --minutes 140
    python tools/train_dejpeg.py photos -o dejpeg.safetensors --minutes 140 --resume
    python tools/train_dejpeg.py photos -o more.safetensors --minutes 600 --from dejpeg.safetensors

The network is that of the shipped denoisers without a map of the level: it is given no quality. Images are
coded by Pillow at a random quality of 6 to 96, as colour with halved and whole chroma and as gray, with
blocks that begin at the first pixel in four of five and anywhere in the others. `--from photo-denoise-colour`
starts from a denoiser's weights: of its map of the noise level the effect at σ 10 is kept as a bias. Budget,
rate, loss, averaged weights and resuming are those of `train_real_denoiser.py`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from train_real_denoiser import Training, network, options_parser, read_options, run

from isthmus.model.autoencoder import Autoencoder
from isthmus.model.loading import load

NETWORK = (
    "corruption=jpeg",
    "corruption.quality=6",
    "corruption.quality_high=96",
    "corruption.sampling=both",
    "corruption.gray=0.4",
    "corruption.shifted=0.2",
    "corruption.twice=0.1",
    "objective.image=psnr",
)
STARTING_SIGMA = 10.0  # of 255: the noise level at which a denoiser's weights are taken


@torch.no_grad()
def take_weights(model: Autoencoder, start: Autoencoder) -> None:
    """Copy the weights of `start`; where it sees a map of the noise level, its effect becomes a bias.

    A stem that folds `s × s` pixels sees channel c at the inputs c s² to (c + 1) s² − 1.
    """
    state = start.state_dict()
    own, other = model.state_dict()["encoder.first.weight"], state["encoder.first.weight"]
    if own.shape != other.shape:
        old_width = own.shape[1]
        level = other[:, old_width:].sum((1, 2, 3)) * (STARTING_SIGMA / 255)
        state = state | {
            "encoder.first.weight": other[:, :old_width],
            "encoder.first.bias": state["encoder.first.bias"] + level,
        }
    model.load_state_dict(state)


def dejpeg_network(settings: list[str], start: Path | None, *, crop: int) -> Autoencoder:
    """The network of `photo-dejpeg` changed by `settings`, with random weights or those of `start`."""
    model = network(settings, None, crop=crop, given=NETWORK)
    if start is not None:
        take_weights(model, load(start))
    return model


def main() -> None:
    arguments = options_parser(__doc__).parse_args()
    model = dejpeg_network(arguments.settings, arguments.start, crop=arguments.crop)
    run(arguments, Training(model, read_options(arguments)))


if __name__ == "__main__":
    main()
