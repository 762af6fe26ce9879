"""pythae's VAE of its published binary-MNIST setting, trained for some minutes, in an environment of its own.

    python -m venv peers && peers/bin/pip install torch==2.13.0 pythae==0.1.2
    peers/bin/python benchmarks/peers/pythae_vae.py TRAIN.npz TEST.npz MINUTES OUT.json

784-400-40 with ReLU, Adam 10⁻³ on batches of 100, and the rate falling by 10^(−1/5) after epochs 200, 350,
500, 750 and 1000, as in examples/scripts/reproducibility/vae.py of pythae's repository. Prints and writes
−ln p(x) in nats from 200 importance samples, the bound that pythae's own `get_nll` takes image by image.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import nn

HIDDEN, CODE, SAMPLES = 400, 40, 200


class Encoder(BaseEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.latent_dim = CODE
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(784, HIDDEN), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(HIDDEN, CODE), nn.Linear(HIDDEN, CODE)

    def forward(self, x: torch.Tensor) -> ModelOutput:
        h = self.hidden(x)
        return ModelOutput(embedding=self.mean(h), log_covariance=self.log_variance(h))


class Decoder(BaseDecoder):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(CODE, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, 784),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, 28, 28)),
        )

    def forward(self, z: torch.Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z))


class DeadlineError(Exception):
    """The minutes are over."""


class StopAt(TrainingCallback):
    def __init__(self, deadline: float) -> None:
        self.deadline, self.epochs = deadline, 0

    def on_epoch_end(self, training_config: BaseTrainerConfig, **_: object) -> None:  # noqa: ARG002
        self.epochs += 1
        if time.monotonic() > self.deadline:
            raise DeadlineError


def nll(model: VAE, images: torch.Tensor) -> float:
    """Mean over images of −ln (1/K) Σ p(x|z) p(z) / q(z|x)."""
    total = 0.0
    with torch.no_grad():
        for x in images.split(500):
            posterior = model.encoder(x)
            mean, log_variance = posterior.embedding, posterior.log_covariance
            weights = []
            for _ in range(SAMPLES):
                noise = torch.randn_like(mean)
                z = mean + (0.5 * log_variance).exp() * noise
                painted = model.decoder(z).reconstruction
                likelihood = (
                    -nn.functional.binary_cross_entropy(painted, x, reduction="none").flatten(1).sum(1)
                )
                prior = 0.5 * (noise.square() + log_variance - z.square()).sum(1)
                weights.append((likelihood + prior).double())
            total += float((math.log(SAMPLES) - torch.stack(weights).logsumexp(0)).sum())
    return total / len(images)


def dataset(images: torch.Tensor) -> BaseDataset:
    return BaseDataset(images, torch.zeros(len(images)))


def main(train: str, test: str, minutes: str, out: str) -> None:
    torch.manual_seed(0)
    pixels = {
        name: torch.from_numpy(np.load(name)["images"][:, None] / 255).float() for name in (train, test)
    }
    held_out = len(pixels[train]) // 10
    model = VAE(VAEConfig((1, 28, 28), CODE, reconstruction_loss="bce"), Encoder(), Decoder())
    config = BaseTrainerConfig(
        output_dir=f"{out}.pythae",
        per_device_train_batch_size=100,
        per_device_eval_batch_size=500,
        num_epochs=2000,
        learning_rate=1e-3,
        scheduler_cls="MultiStepLR",
        scheduler_params={"milestones": [200, 350, 500, 750, 1000], "gamma": 10 ** (-1 / 5)},
    )
    started = time.monotonic()
    stop = StopAt(started + 60 * float(minutes))
    trainer = BaseTrainer(
        model,
        train_dataset=dataset(pixels[train][held_out:]),
        eval_dataset=dataset(pixels[train][:held_out]),
        training_config=config,
        callbacks=[stop],
    )
    with contextlib.suppress(DeadlineError):
        trainer.train()
    seconds = time.monotonic() - started
    model = trainer.model.eval()
    results = {"nll_nats": nll(model, pixels[test]), "epochs": stop.epochs, "seconds": seconds}
    print(json.dumps(results))
    Path(out).write_text(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
