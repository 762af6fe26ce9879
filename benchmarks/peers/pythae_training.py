"""pythae's own trainer, its autoencoder around the same layers as everyone's.

A contender of `benchmarks/training.py`: `pythae_training.py NETWORK PIXELS.npy BATCH THREADS FOLDER`.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.metadata import version

import numpy as np
import torch
from gate import Gate
from networks import build, parameters
from pythae.data.datasets import BaseDataset
from pythae.models import AE, AEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn


class Encoder(BaseEncoder):
    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> ModelOutput:
        return ModelOutput(embedding=self.layers(x))


class Decoder(BaseDecoder):
    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z))


class Turns(TrainingCallback):
    """One epoch per order."""

    def __init__(self, gate: Gate, images: int) -> None:
        self.gate, self.images = gate, images

    def on_epoch_begin(self, training_config: BaseTrainerConfig, **_: object) -> None:  # noqa: ARG002
        if self.gate.wait() == "end":
            raise SystemExit

    def on_epoch_end(self, training_config: BaseTrainerConfig, **_: object) -> None:  # noqa: ARG002
        self.gate.report(self.images)


def main(network: str, pixels: str, batch: str, threads: str, folder: str) -> None:  # noqa: ARG001
    torch.set_num_threads(int(threads))
    gate = Gate()
    images = torch.from_numpy(np.load(pixels)).permute(0, 3, 1, 2).float().contiguous() / 255
    encoder, decoder = build(network)
    with torch.no_grad():
        code = encoder(images[:1]).shape[1]
    model = AE(AEConfig(tuple(images.shape[1:]), code), Encoder(encoder), Decoder(decoder))
    with tempfile.TemporaryDirectory() as place:
        config = BaseTrainerConfig(
            output_dir=place,
            per_device_train_batch_size=int(batch),
            num_epochs=10**9,
            learning_rate=1e-3,
            keep_best_on_train=True,
        )
        gate.say({"parameters": parameters(encoder, decoder), "pythae": version("pythae")})
        dataset = BaseDataset(images, torch.zeros(len(images)))
        BaseTrainer(model, dataset, training_config=config, callbacks=[Turns(gate, len(images))]).train()


if __name__ == "__main__":
    main(*sys.argv[1:])
