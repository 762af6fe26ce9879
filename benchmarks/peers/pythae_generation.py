"""pythae's VAE with its Gaussian-mixture sampler, so many minutes of a core: images for the generation table.

    python -m venv peers && peers/bin/pip install torch==2.13.0 pythae==0.1.2
    peers/bin/python benchmarks/peers/pythae_generation.py TRAIN.npz MINUTES OUT.npz [COUNT]

TRAIN.npz holds `images` (N, 28, 28, 1) uint8. pythae's own convolutional networks for MNIST and its default
16 numbers, Adam 10⁻³ on batches of 128, then its `GaussianMixtureSampler` with 10 components, its default.
OUT.npz goes to `benchmarks/generation.py --peer "pythae, VAE + GMM=OUT.npz"`.
"""

from __future__ import annotations

import contextlib
import sys
import time

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST
from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback

CODE = 16


class DeadlineError(Exception):
    pass


class Deadline(TrainingCallback):
    def __init__(self, seconds: float) -> None:
        self.end = time.process_time() + seconds

    def on_train_step_end(self, *_: object, **__: object) -> None:
        if time.process_time() > self.end:
            raise DeadlineError


def main() -> None:
    source, minutes, out = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 10_000
    torch.manual_seed(0)
    pixels = np.load(source)["images"].astype(np.float32) / 255
    images = torch.from_numpy(pixels.reshape(-1, 1, 28, 28))
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=CODE)
    model = VAE(config, encoder=Encoder_Conv_VAE_MNIST(config), decoder=Decoder_Conv_AE_MNIST(config))
    settings = BaseTrainerConfig(
        output_dir="pythae-runs", num_epochs=1000, learning_rate=1e-3,
        per_device_train_batch_size=128, no_cuda=True,
    )  # fmt: skip
    trainer = BaseTrainer(
        model,
        train_dataset=BaseDataset(images, torch.zeros(len(images))),
        training_config=settings,
        callbacks=[Deadline(60 * minutes)],
    )
    with contextlib.suppress(DeadlineError):
        trainer.train()
    model = trainer.model.eval()
    sampler = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=10))
    sampler.fit(images)
    made = sampler.sample(num_samples=count, batch_size=500, return_gen=True)
    levels = (made.clamp(0, 1) * 255).round().to(torch.uint8).reshape(-1, 28, 28, 1)
    np.savez_compressed(out, images=levels.numpy())
    print(f"{len(levels)} images")


if __name__ == "__main__":
    main()
