"""Plain PyTorch as a tutorial writes it: float32, NCHW, a DataLoader over tensors, Adam, `loss.item()`.

A contender of `benchmarks/training.py`: `torch_training.py NETWORK PIXELS.npy BATCH THREADS FOLDER`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from gate import Gate
from networks import build, parameters
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset


class Folder(Dataset[Tensor]):
    """The images of a folder, opened one by one."""

    def __init__(self, folder: str) -> None:
        self.files = sorted(Path(folder).iterdir())

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        pixels = torch.from_numpy(np.array(Image.open(self.files[index])))
        pixels = pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
        return pixels.float() / 255


def main(network: str, pixels: str, batch: str, threads: str, folder: str) -> None:
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    gate = Gate()
    images = torch.from_numpy(np.load(pixels)).permute(0, 3, 1, 2).float() / 255
    images = images.contiguous()
    encoder, decoder = build(network)
    model = nn.Sequential(encoder, decoder)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.MSELoss()
    loader = DataLoader(TensorDataset(images), batch_size=int(batch), shuffle=True, drop_last=True)
    gate.say({"parameters": parameters(model), "torch": torch.__version__})
    while (order := gate.wait()) != "end":
        count = len(images)
        if order == "train":
            model.train()
            total, count = 0.0, 0
            for (images_of_step,) in loader:
                optimiser.zero_grad()
                loss = criterion(model(images_of_step), images_of_step)
                loss.backward()
                optimiser.step()
                total += loss.item()
                count += len(images_of_step)
        else:
            model.eval()
            with torch.no_grad():
                count = use(order, encoder, decoder, images, folder)
        gate.report(count)


def use(order: str, encoder: nn.Module, decoder: nn.Module, images: Tensor, folder: str) -> int:
    if order == "encode":
        return len(
            torch.cat([encoder(part) for (part,) in DataLoader(TensorDataset(images), batch_size=256)])
        )
    if order == "decode":
        codes = torch.cat([encoder(images[:256])] * (len(images) // 256))
        return len(torch.cat([decoder(part) for (part,) in DataLoader(TensorDataset(codes), batch_size=256)]))
    return len(torch.cat([encoder(part) for part in DataLoader(Folder(folder), batch_size=256)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
