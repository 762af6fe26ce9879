"""pythae's autoencoder with the network of its benchmark, and its trainer, until a loss is reached.

    python pythae_quality.py TASK TRAIN.npy HELD_OUT.npy TARGET MINUTES CLOCK

`Encoder_Conv_AE_MNIST` and `Decoder_Conv_AE_MNIST`, trained with the trainer's own defaults. Its autoencoder
minimises squared error, also where cross-entropy is asked for.
"""

from __future__ import annotations

import os
import sys
import tempfile

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import AE, AEConfig
from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_AE_MNIST
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch.nn import functional
from watch import OverError, Watch


class Looks(TrainingCallback):
    def __init__(self, watch: Watch, model: AE, held_out: torch.Tensor, squared: bool) -> None:
        self.watch, self.model, self.held_out, self.squared = watch, model, held_out, squared

    @torch.no_grad()
    def loss(self) -> float:
        self.model.eval()
        painted = [self.model.decoder(self.model.encoder(x).embedding) for x in self.held_out.split(250)]
        self.model.train()
        images = torch.cat([output.reconstruction for output in painted])
        if self.squared:
            return float(functional.mse_loss(images, self.held_out))
        return float(functional.binary_cross_entropy(images, self.held_out))

    def on_train_step_end(self, training_config: BaseTrainerConfig, **_: object) -> None:  # noqa: ARG002
        self.watch.look(self.loss)


def main(task: str, train: str, held_out: str, target: str, minutes: str, clock: str) -> None:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(0)
    training_images, unseen = (
        torch.from_numpy(np.load(name)).permute(0, 3, 1, 2).float().contiguous() / 255
        for name in (train, held_out)
    )
    code = AEConfig((1, 28, 28), int(task.rpartition("-")[2]))
    model = AE(code, Encoder_Conv_AE_MNIST(code), Decoder_Conv_AE_MNIST(code))
    with tempfile.TemporaryDirectory() as place:
        config = BaseTrainerConfig(
            output_dir=place,
            num_epochs=10**6,
            keep_best_on_train=True,
        )
        watch = Watch(float(target), float(minutes), clock)
        looks = Looks(watch, model, unseen[:1000], task.startswith("mse"))
        data = BaseDataset(training_images, torch.zeros(len(training_images)))
        # What pythae prints is for people; this process prints one line of JSON.
        out, sys.stdout = sys.stdout, sys.stderr
        try:
            BaseTrainer(model, data, training_config=config, callbacks=[looks]).train()
        except OverError:
            print(watch.summary(), file=out)


if __name__ == "__main__":
    main(*sys.argv[1:])
