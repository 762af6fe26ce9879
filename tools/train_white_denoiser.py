"""Train `photo-denoise-gray` or `photo-denoise-colour`, the denoisers of white noise of a given σ.

    python tools/free_photos.py photos --also bsds500/train --also bsds500/test
    python tools/train_white_denoiser.py photos -o g.safetensors --minutes 600 --gray
    python tools/train_white_denoiser.py photos -o more.safetensors --minutes 60 --gray --from g.safetensors
    python tools/train_white_denoiser.py photos -o deep.safetensors --minutes 600 --gray \\
        --from g.safetensors --set backbone.blocks=4

Each image of a batch has noise of one σ, drawn evenly from 0 to 55 (of 255), which the network is told.
`--from` may name a network of fewer blocks a stage: blocks that it lacks begin as the identity, so a deeper
network starts from what the shallower one has learned (Chen et al. 2016, "Net2Net"). `--teacher MODEL` learns
the mean of that model over eight orientations instead of the clean images alone. Budget, rate, loss,
averaged weights and resuming are those of `train_real_denoiser.py`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from train_real_denoiser import Options, Training, options_parser, read_options, run

from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.backbones.blocks import Block
from isthmus.model.backbones.linear_path import silence
from isthmus.model.loading import load
from isthmus.model.recipes import recipe
from isthmus.model.trace import Trace
from isthmus.restoration.network_pass import ORIENTATIONS, rotate, rotate_back

NETWORK = ("objective.image=psnr",)
CLEAN_SHARE = 0.2  # of the clean image in the target, beside a teacher
LEAST_ERROR = 10**-4.5  # by which an image's error is divided at least


class Distillation(Training):
    """A training towards the mean of a teacher over all orientations, and a little beyond.

    The error that no network can avoid is the noise of the gradient, and by far its largest part. A teacher's
    output has it, too, so the difference between the two is nearly free of it, and of the distance to the
    clean image a share is enough. Every step takes the teacher in one orientation: on average that is its
    mean over all (Hinton et al. 2015, "Distilling the knowledge in a neural network"; Lim et al. 2017).
    """

    def __init__(self, model: Autoencoder, options: Options, teacher: Autoencoder) -> None:
        super().__init__(model, options)
        self.teacher = teacher.to(self.device).eval()

    def loss(self, trace: Trace, errors: Tensor) -> Tensor:  # noqa: ARG002
        corrupted = trace.corrupted
        way = int(torch.randint(ORIENTATIONS, (), generator=trace.generator, device=self.device))

        def turn(part: Tensor) -> Tensor:
            return rotate(part, way)

        with torch.no_grad():
            turned = self.teacher.reconstruct_batch(turn(corrupted.input), corrupted.mapped(turn))
            taught = rotate_back(turned, way)
            scale = (taught - corrupted.target).square().flatten(1).mean(1) + LEAST_ERROR
            target = taught + CLEAN_SHARE * (corrupted.target - taught)
        distances = (trace.output - target).square().flatten(1).mean(1)
        return (distances / scale).mean()


@torch.no_grad()
def take_weights(model: Autoencoder, start: Autoencoder) -> None:
    """Copy the weights of `start`; blocks that it lacks add nothing at first."""
    old_state = start.state_dict()
    for name, module in model.named_modules():
        if isinstance(module, Block) and f"{name}.layers.1.weight" not in old_state:
            silence(module.last_convolution())
    model.load_state_dict(model.state_dict() | old_state)


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
    parser.add_argument("--teacher", type=Path, help="a model whose mean over all orientations is learned")
    arguments = parser.parse_args()
    options = read_options(arguments)
    channels = 1 if arguments.gray else 3
    model = white_denoiser(arguments.settings, arguments.start, channels=channels, crop=arguments.crop)
    if arguments.teacher is None:
        run(arguments, Training(model, options))
    else:
        run(arguments, Distillation(model, options, load(arguments.teacher)))


if __name__ == "__main__":
    main()
