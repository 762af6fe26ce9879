"""What the witness tests need and no public name gives.

Only this module may change when code moves: the other modules of this folder use public names, the command
line and the files of version 0.1 alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import isthmus

Arrays = dict[str, npt.NDArray[Any]]
MAX_STORED_VALUES = 256


def symbols_of(path: Path, model: isthmus.Autoencoder | None) -> list[npt.NDArray[np.int32]]:
    """The symbols of every tile of a compressed file, `(C, rows, columns)` each; None: the shipped codec."""
    from isthmus.codec import container
    from isthmus.codec.decoding import decode_tile_symbols, raise_if_damaged
    from isthmus.codec.grid import Grid
    from isthmus.codec.models import codec_for

    codec = codec_for(model)
    contents = container.read_container(path.read_bytes())
    grid = Grid.of(contents.header, codec.stride)
    return [
        np.asarray(raise_if_damaged(tile))
        for tile in decode_tile_symbols(contents, codec, grid, range(grid.count))
    ]


def next_step(state: Path, data: str) -> Arrays:
    """The weights after one more step from the state of a training, by their names in `state_dict()`.

    Args:
        state: `MODEL.resume.safetensors`.
        data: the images that the training began with.
    """
    from isthmus.training.trainer_setup import resume_training

    out = state.with_name(state.name.replace(".resume", ""))
    trainer, _ = resume_training(data, None, out)
    trainer.train_step()
    return {name: t.detach().contiguous().numpy() for name, t in trainer.learner.module.state_dict().items()}


def sample(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A large array as evenly spaced numbers of it, a small one as it is."""
    return array if array.size <= MAX_STORED_VALUES else array.reshape(-1)[:: array.size // MAX_STORED_VALUES]


def mark_of(model: isthmus.Autoencoder, *, decoder: bool = True) -> str:
    """The hash that an index or a direction names its model by."""
    from isthmus.model.mark import mark_of as mark

    return mark(model, decoder=decoder)


def stored_tensor(name: str) -> str:
    """The name of a tensor in files."""
    from isthmus.model.stored_names import stored_tensor as stored

    return stored(name)


def save_in(model: isthmus.Autoencoder, path: Path, bits: int) -> None:
    """Write a model with weights of 16 or 8 bits."""
    from isthmus.model.file import save

    save(model, path, bits=bits)  # type: ignore[arg-type]


def encode_tiles(image: npt.NDArray[np.uint8], model: isthmus.Autoencoder, tile: int) -> bytes:
    """A compressed file with tiles of the given side in pixels; `isthmus.compress` chooses larger ones."""
    from isthmus.codec.encoding import encode_picture_at
    from isthmus.codec.models import codec_for
    from isthmus.codec.picture import read_picture

    return encode_picture_at(read_picture(image), codec_for(model), 6000, tile=tile).data


def learn_motion(path: str, sequences: list[str]) -> None:
    """Attach dynamics with a narrow network to a model file; `isthmus frames --learn` makes a wide one."""
    from isthmus.generation.dynamics import NAME, fit_dynamics
    from isthmus.generation.frames import encode_sequence
    from isthmus.model.attachments import attach

    model = isthmus.load(path)
    codes = [encode_sequence(model, isthmus.read(data)) for data in sequences]
    fit_dynamics(model, codes, steps=10, width=8)
    attachment = model.attachments[NAME]
    attach(path, NAME, attachment.tensors, attachment.facts)


def features_of(path: Path, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What the classifier in a file makes of images `(N, H, W, C)` in [0, 1] of its size."""
    import torch

    from isthmus.evaluation.feature_network import read_features

    with torch.no_grad():
        result: npt.NDArray[np.float32] = (
            read_features(path).of(torch.from_numpy(images).movedim(-1, 1)).numpy()
        )
    return result


def shipped_classifiers() -> Path:
    """The folder of the classifiers that come with the package."""
    from isthmus.evaluation.feature_network import FOLDER

    return FOLDER


def rewrite_state(state: Path, data: str) -> None:
    """Read the state of a training and write it again."""
    from isthmus.training.session import save_state
    from isthmus.training.trainer_setup import resume_training

    out = state.with_name(state.name.replace(".resume", ""))
    save_state(state, *resume_training(data, None, out))


def fingerprint_of(model: isthmus.Autoencoder) -> bytes:
    """The bytes that name a codec in compressed files, computed now."""
    from isthmus.codec.ready import fingerprint

    return fingerprint(model)


def shipped_codec() -> isthmus.Autoencoder:
    """The codec that comes with the package, read anew."""
    return isthmus.load("photo-codec")
