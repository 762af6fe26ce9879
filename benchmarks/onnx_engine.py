"""ONNX Runtime instead of torch for one photo: time of a cold process, equality of pixels, installed size.

    python benchmarks/onnx_engine.py prepare FOLDER              needs torch and the extra `onnx`
    python benchmarks/onnx_engine.py measure FOLDER --rounds 5   cold processes of both, in turn
    python benchmarks/onnx_engine.py denoise FOLDER             a cold run; so with compress, decompress

The photo is scikit-image's cup of coffee at 768×512, with noise of σ 25 for `denoise`. A run without torch
uses isthmus's own entropy coder, tables and container, which need NumPy alone, and writes files that
`isthmus decompress` opens. The whole photo goes through the network at once; noise is neither estimated nor
examined at black and white, and there are no metadata and no checks: it is the least that such an engine
could cost. `prepare` also writes what torch computes in float32 from the same inputs, to compare with.
"""

from __future__ import annotations

import argparse
import binascii
import struct
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

QUALITY = 50
SIGMA = 25
TILE_HEAD = struct.Struct("<BH")  # number of the band, check of the symbols
PEERS = ("torch", "onnxruntime", "numpy", "pillow", "constriction", "scipy", "scikit-learn", "sympy")


def session(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def planes(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, C) as float32 (1, C, H, W) in [0, 1]."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def levels(images: np.ndarray) -> np.ndarray:
    """The inverse of `planes`, rounded."""
    return np.ascontiguousarray((images[0] * 255).round().astype(np.uint8).transpose(1, 2, 0))


def noisy_planes(folder: Path) -> np.ndarray:
    """The noisy photo, and how strong its noise is as a further channel."""
    noisy = planes(np.asarray(Image.open(folder / "noisy.png")))
    return np.concatenate([noisy, np.full_like(noisy[:, :1], SIGMA / 255)], 1)


def denoise(folder: Path) -> None:
    (restored,) = session(folder / "denoise.onnx").run(None, {"images": noisy_planes(folder)})
    Image.fromarray(levels(restored)).save(folder / "denoised-onnx.png")


def compress(folder: Path) -> None:
    from isthmus.codec import container
    from isthmus.codec.grid import Grid, tile_side
    from isthmus.codec.symbols import encode_tiles

    image = np.asarray(Image.open(folder / "clean.png"))
    stored = np.load(folder / "codec.npz")
    (latents,) = session(folder / "analysis.onnx").run(None, {"images": planes(image)})
    symbols = (latents[0] * stored["gain"]).round().clip(-32767, 32767).astype(np.int32)
    stride = int(stored["stride"])
    header = container.ContainerHeader(
        size=(image.shape[0], image.shape[1]),
        channels=3,
        quality=100 * QUALITY,
        tile=tile_side(stride),
        model=stored["fingerprint"].tobytes(),
    )
    grid = Grid.of(header, stride)
    tiles = [symbols[:, *grid.tile(number).slices] for number in range(grid.count)]
    chunks = [
        TILE_HEAD.pack(int(stored["band"]), binascii.crc_hqx(tile.astype("<i2").tobytes(), 0xFFFF)) + data
        for start in range(0, len(tiles), 4)
        for tile, data in zip(
            tiles[start : start + 4], encode_tiles(tiles[start : start + 4], band(stored)), strict=True
        )
    ]
    np.save(folder / "symbols-onnx.npy", symbols)
    (folder / "onnx.isth").write_bytes(container.write_container(header, chunks))


def decompress(folder: Path) -> None:
    from isthmus.codec import container
    from isthmus.codec.grid import Grid
    from isthmus.codec.symbols import decode_tiles

    contents = container.read_container((folder / "clean.isth").read_bytes())
    stored = np.load(folder / "codec.npz")
    grid = Grid.of(contents.header, int(stored["stride"]))
    symbols = np.zeros((len(stored["gain"]), *grid.all.size), np.float32)
    payloads = [contents.chunks[container.TILE, number][TILE_HEAD.size :] for number in range(grid.count)]
    for start in range(0, grid.count, 4):
        numbers = range(start, min(start + 4, grid.count))
        given = [(payloads[number], grid.tile(number).size) for number in numbers]
        for number, tile in zip(numbers, decode_tiles(given, band(stored)), strict=True):
            assert isinstance(tile, np.ndarray), tile
            symbols[:, *grid.tile(number).slices] = tile
    values = (symbols - np.sign(symbols) * stored["nearer"]) / stored["gain"]
    (images,) = session(folder / "synthesis.onnx").run(None, {"code": values[None].astype(np.float32)})
    height, width = contents.header.size
    Image.fromarray(levels(images)[:height, :width]).save(folder / "decompressed-onnx.png")


def band(stored: Any) -> Any:
    from isthmus.codec.tables import Band

    fields = {name.removeprefix("band."): stored[name] for name in stored.files if name.startswith("band.")}
    return Band(**fields)


def prepare(folder: Path) -> None:
    """Write the photo, the networks as ONNX files and what is left of the codec as arrays."""
    import torch
    from skimage import data

    import isthmus
    from isthmus import pretrained
    from isthmus.codec.models import codec_for
    from isthmus.codec.tables import shapes
    from isthmus.model.export.onnx import Whole

    folder.mkdir(parents=True, exist_ok=True)
    clean = np.asarray(Image.fromarray(data.coffee()).resize((768, 512), Image.Resampling.LANCZOS))
    noise = np.random.default_rng(0).normal(0, SIGMA, clean.shape)
    Image.fromarray(clean).save(folder / "clean.png")
    Image.fromarray((clean + noise).clip(0, 255).round().astype(np.uint8)).save(folder / "noisy.png")
    denoiser = isthmus.load(pretrained.path("photo-denoise-colour"))
    isthmus.export_onnx(denoiser, folder / "denoise.onnx")
    codec = codec_for(None)
    model = codec.model
    isthmus.export_onnx(model, folder / "codec.onnx")
    (folder / "codec.decoder.onnx").replace(folder / "synthesis.onnx")
    (folder / "codec.encoder.onnx").unlink()

    class Analysis(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = model.encoder

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            latents: torch.Tensor = self.encoder(images, None).h
            return latents

    example = torch.from_numpy(planes(clean))
    program = torch.onnx.export(
        Analysis().eval(),
        (example,),
        dynamo=True,
        verbose=False,
        input_names=["images"],
        output_names=["latents"],
    )
    assert program is not None
    (folder / "analysis.onnx").write_bytes(program.model_proto.SerializeToString())
    quality = torch.full((1,), float(QUALITY))
    ones = torch.ones(1, codec.tables.channels, 1, 1)
    with torch.no_grad():
        gain = model.bottleneck.gain(quality, 4)
        nearer = 1 - model.bottleneck.values(ones, quality) * gain
        latents = Analysis().eval()(example)
        np.save(folder / "symbols.npy", (latents * gain).round()[0].numpy())
        restored = Whole(denoiser)(torch.from_numpy(noisy_planes(folder)))
    Image.fromarray(levels(restored.numpy())).save(folder / "denoised-torch.png")
    number = codec.tables.nearest(100 * QUALITY)
    chosen = codec.tables.bands[number]
    arrays = {f"band.{name}": getattr(chosen, name) for name in shapes(chosen.channels, len(chosen.shifts))}
    np.savez(
        folder / "codec.npz",
        gain=gain[0].numpy(),
        nearer=nearer[0].numpy(),
        band=number,
        stride=codec.stride,
        fingerprint=np.frombuffer(codec.fingerprint, np.uint8),
        **arrays,
    )


def measure(folder: Path, rounds: int) -> None:
    """Cold processes of both engines in turn; then how far their pixels lie apart, and sizes."""
    cli, own = [sys.executable, "-m", "isthmus"], [sys.executable, __file__]
    words = {
        "compress": [f"{folder}/clean.png", "-o", f"{folder}/clean.isth", "--quality", str(QUALITY)],
        "decompress": [f"{folder}/clean.isth", "-o", f"{folder}/decompressed.png"],
        "denoise": [f"{folder}/noisy.png", "-o", f"{folder}/denoised.png", "--sigma", str(SIGMA)],
    }
    print("median seconds of a cold process      torch  ONNX Runtime")
    for name, options in words.items():
        seconds: dict[str, list[float]] = {"torch": [], "onnx": []}
        for _ in range(rounds + 1):
            seconds["torch"].append(timed([*cli, name, *options, "--force"]))
            seconds["onnx"].append(timed([*own, name, str(folder)]))
        print(f"{name:35} {median(seconds['torch'][1:]):7.2f} {median(seconds['onnx'][1:]):13.2f}")
    subprocess.run(
        [*cli, "decompress", f"{folder}/onnx.isth", "-o", f"{folder}/onnx.png", "--force", "--quiet"],
        check=True,
    )
    for name in ("decompressed", "denoised-torch"):
        other = f"{name.removesuffix('-torch')}-onnx"
        apart = np.abs(pixels(folder, name) - pixels(folder, other))
        print(
            f"{name}: at most {apart.max():.0f} levels apart, {np.mean(apart > 0):.3%} of the samples differ"
        )
    symbols = np.load(folder / "symbols.npy") != np.load(folder / "symbols-onnx.npy")
    print(f"symbols from float32 latents: {symbols.sum()} of {symbols.size:,} differ")
    for name in ("decompressed", "onnx"):
        error = np.square(pixels(folder, name) - pixels(folder, "clean")).mean()
        print(f"{name}: {10 * np.log10(255**2 / error):.3f} dB")
    files = [(folder / name).stat().st_size for name in ("clean.isth", "onnx.isth")]
    print(f"bytes of the compressed file: {files[0]:,} (torch), {files[1]:,} (ONNX Runtime)")
    print("megabytes on disk: " + ", ".join(f"{name} {installed(name):.0f}" for name in PEERS))


def pixels(folder: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(folder / f"{name}.png")).astype(np.float64)


def timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def installed(name: str) -> float:
    """Megabytes of the files that an installed package brought."""
    from importlib.metadata import files

    return (
        sum(Path(file.locate()).stat().st_size for file in files(name) or [] if file.locate().is_file()) / 1e6
    )


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("what", choices=["prepare", "measure", "compress", "decompress", "denoise"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    if args.what == "measure":
        measure(args.folder, args.rounds)
        return
    {"prepare": prepare, "compress": compress, "decompress": decompress, "denoise": denoise}[args.what](
        args.folder
    )
    assert args.what == "prepare" or "torch" not in sys.modules


if __name__ == "__main__":
    main()
