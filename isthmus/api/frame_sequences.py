"""Sequences of frames through the code: reconstructed, filled, slowed down, predicted; and learned motion."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from isthmus.api.attachments import check_fit, check_storable, store_attachments
from isthmus.api.generated_images import GeneratedImages
from isthmus.api.inputs import (
    DataLike,
    ModelLike,
    Range,
    check_count,
    check_is_data,
    describe_input,
    describe_model,
    load_model,
)
from isthmus.api.result import Result, keys, skipped_inputs, use
from isthmus.errors import Hint, UsageError
from isthmus.images.reading_notes import report_reading
from isthmus.interruption import Interruption
from isthmus.progress import Progress, start_task
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.images.store import ImageSet, Pixels
    from isthmus.model.autoencoder import Autoencoder

FrameTask = Literal["reconstructed", "filled", "slowed", "predicted"]
_DOCUMENT = keys("model sequence given what frames learned")


class _Frames:
    """The schema that both results of the command `frames` have; docs describe it once."""

    schema: ClassVar[str] = "isthmus.frames/1"


@dataclass(frozen=True, kw_only=True, repr=False)
class FrameSequence(GeneratedImages):
    """Frames that were made from a sequence.

    As an animation it keeps the size and the pace of the sequence.

    Attributes:
        sequence: as it was given.
        given: number of frames that were read.
        what: `reconstructed`, `filled`, `slowed`, `predicted`; or `learned` by `fit_motion`.
        learned: whether the model has learned how its codes move.
        frames: number of frames that were made.
        milliseconds: how long a frame is shown.
    """

    schema: ClassVar[str] = _Frames.schema
    document: ClassVar = _DOCUMENT
    formats: ClassVar[tuple[str, ...]] = (".png", ".gif", ".webp", ".npz", ".json")
    animated: ClassVar[bool] = True

    sequence: str
    given: int
    what: FrameTask
    learned: bool
    _pace: int = field(repr=False)

    @property
    def frames(self) -> int:
        return self.count

    @property
    def milliseconds(self) -> int:
        return self._pace

    def summary(self) -> str:
        return f"{format_count(self.count, 'frame')} ({self.what})"


@dataclass(frozen=True, kw_only=True, repr=False)
class FittedMotion(_Frames, Result):
    """How the codes of a model move from frame to frame, which the model now holds.

    Attributes:
        model: the model, as it was given.
        sequence: the sequences, as they were given.
        sequences: number of sequences.
        given: number of frames that were read.
    """

    document: ClassVar = {**_DOCUMENT, "out": "out", "files": "files"}
    what: ClassVar[str] = "learned"
    frames: ClassVar[int] = 0
    learned: ClassVar[bool] = True
    out: ClassVar[None] = None
    files: ClassVar[tuple[str, ...]] = ()

    model: str
    sequence: str
    sequences: int
    given: int

    def summary(self) -> str:
        return f"motion learned from {format_count(self.sequences, 'sequence')} is in {self.model}"


@use
def reconstruct_frames(
    model: ModelLike,
    frames: DataLike,
    *,
    limit: int | None = None,
    range: Range | None = None,
    progress: Progress | None = None,
) -> FrameSequence:
    """Work on frames through the code of a model.

    Frames are a folder in the order of names, or an animated GIF, WebP or PNG. Between known frames codes go
    straight, or as they have been learned to go (`fit_motion`); without that a prediction repeats the last
    frame. This function gives the frames as the model reconstructs them.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        frames: one sequence of images of one size: a folder, animation, archive, array or list.
        limit: at most this many frames, from the first on.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: several sequences.
        DataError: unreadable, of mixed sizes, or fewer than two frames.

    Examples:
        >>> import isthmus, numpy as np
        >>> frames = np.random.default_rng(0).random((12, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(frames, recipe="dense", code="8", steps=2)
        >>> isthmus.reconstruct_frames(model, frames).count
        12
    """

    def reconstruct(network: Autoencoder, sequence: ImageSet) -> Pixels:
        import numpy as np

        from isthmus.images.conform import to_dtype

        return to_dtype(network.reconstruct(sequence.stack(np.arange(len(sequence)))), np.uint8)

    return _work_on_frames(model, frames, "reconstructed", reconstruct, limit, range, progress)


@use
def fill_frames(
    model: ModelLike,
    frames: DataLike,
    missing: Sequence[int],
    *,
    limit: int | None = None,
    range: Range | None = None,
    progress: Progress | None = None,
) -> FrameSequence:
    """Make some frames of a sequence from the others; the content of these frames is not used.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        frames: as for `reconstruct_frames`.
        missing: numbers of these frames, counted from 0.
        limit: at most this many frames, from the first on.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        CapabilityError: the model cannot generate.
        UsageError: a number outside of the sequence, or fewer than two known frames.
        DataError: as for `reconstruct_frames`.

    Examples:
        >>> import isthmus, numpy as np
        >>> frames = np.random.default_rng(0).random((12, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(frames, recipe="dense", code="8", steps=2)
        >>> isthmus.fill_frames(model, frames, [3, 4]).what
        'filled'
    """
    from isthmus.generation.frames import fill_frames as fill

    return _work_on_frames(
        model, frames, "filled", lambda net, sequence: fill(net, sequence, missing), limit, range, progress
    )


@use
def insert_frames(
    model: ModelLike,
    frames: DataLike,
    count: int,
    *,
    limit: int | None = None,
    range: Range | None = None,
    progress: Progress | None = None,
) -> FrameSequence:
    """Slow a sequence down: new frames between any two.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        frames: as for `reconstruct_frames`.
        count: new frames between any two.
        limit: at most this many frames, from the first on.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        CapabilityError: the model cannot generate.
        UsageError: a count below 1.
        DataError: as for `reconstruct_frames`.

    Examples:
        >>> import isthmus, numpy as np
        >>> frames = np.random.default_rng(0).random((12, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(frames, recipe="dense", code="8", steps=2)
        >>> isthmus.insert_frames(model, frames, 1).count
        23
    """
    from isthmus.generation.frames import insert_frames as insert

    check_count("count", count)
    return _work_on_frames(
        model, frames, "slowed", lambda net, sequence: insert(net, sequence, count), limit, range, progress
    )


@use
def predict_frames(
    model: ModelLike,
    frames: DataLike,
    count: int,
    *,
    limit: int | None = None,
    range: Range | None = None,
    progress: Progress | None = None,
) -> FrameSequence:
    """Predict the frames that come next, each from those before it.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        frames: as for `reconstruct_frames`.
        count: how many.
        limit: at most this many frames, from the first on.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        CapabilityError: the model cannot generate.
        UsageError: a count below 1.
        DataError: as for `reconstruct_frames`.

    Examples:
        >>> import isthmus, numpy as np
        >>> frames = np.random.default_rng(0).random((12, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(frames, recipe="dense", code="8", steps=2)
        >>> isthmus.predict_frames(model, frames, 2).pixels.shape
        (2, 16, 16, 1)
    """
    from isthmus.generation.frames import predict_frames as predict

    check_count("count", count)
    return _work_on_frames(
        model,
        frames,
        "predicted",
        lambda net, sequence: predict(net, sequence, count),
        limit,
        range,
        progress,
    )


@use
def fit_motion(
    model: ModelLike,
    frames: DataLike,
    *,
    steps: int = 4000,
    limit: int | None = None,
    range: Range | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> FittedMotion:
    """Learn how codes move from frame to frame, and keep it in the model and its file.

    Ctrl-C keeps what is learned until then, unless the model holds an earlier one.

    Args:
        model: a model with a vector code, or the path of a model file.
        frames: a folder whose sub-folders are sequences, or one sequence as for `reconstruct_frames`; at
            least nine frames in one of them.
        steps: of the training.
        limit: at most this many frames of each sequence, from the first on.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        seed: of its weights and order.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        CapabilityError: the model has a grid code or cannot generate.
        UsageError: a shipped model, whose file stays as it is.
        DataError: no sequence is long enough, or as for `reconstruct_frames`.

    Examples:
        >>> import isthmus, numpy as np
        >>> frames = np.random.default_rng(0).random((12, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(frames, recipe="dense", code="8", steps=2)
        >>> isthmus.fit_motion(model, frames, steps=2).sequences
        1
    """
    check_count("steps", steps)
    check_storable(model)
    network, all_frames = _read(model, frames, range)
    from isthmus.generation.dynamics import NAME, fit_dynamics
    from isthmus.generation.frames import encode_sequence, split_sequences

    check_count("limit", limit)
    sequences = [_first_frames(sequence, limit) for sequence in split_sequences(all_frames)]
    codes = [encode_sequence(network, sequence) for sequence in sequences]
    stop, replaces = Interruption(), NAME if NAME in network.attachments else None
    with start_task(progress, "learning", steps, "steps") as task:
        motion = fit_dynamics(
            network, codes, steps=steps, seed=seed, listener=lambda step: task.update(step.step), stop=stop
        )
    if stop.happened:
        check_fit(stop, motion.facts["steps"], steps, replaces=replaces)
    store_attachments(model, network, NAME)
    return FittedMotion(
        model=describe_model(model, network),
        sequence=describe_input(frames),
        sequences=len(codes),
        given=sum(map(len, sequences)),
        skipped=skipped_inputs(all_frames.skipped),
        complete=stop.complete,
    )


def _work_on_frames(
    model: ModelLike,
    frames: DataLike,
    what: FrameTask,
    make: Callable[[Autoencoder, ImageSet], Pixels],
    limit: int | None,
    range: Range | None,
    progress: Progress | None,
) -> FrameSequence:
    check_count("limit", limit, least=2)
    network, all_frames = _read(model, frames, range)
    _check_is_one_sequence(all_frames, frames)
    sequence = _first_frames(all_frames, limit)
    from isthmus.generation.dynamics import NAME
    from isthmus.images.animation import milliseconds_of

    with start_task(progress, "making frames", 1) as task:
        pixels = make(network, sequence)
        task.update(1)
    return FrameSequence(
        model=describe_model(model, network),
        pixels=pixels,
        sequence=describe_input(frames),
        given=len(sequence),
        what=what,
        learned=NAME in network.attachments,
        _pace=milliseconds_of(frames),
        skipped=skipped_inputs(sequence.skipped),
    )


def _first_frames(sequence: ImageSet, limit: int | None) -> ImageSet:
    return sequence if limit is None else sequence[:limit]


def _read(model: ModelLike, frames: DataLike, range: Range | None) -> tuple[Autoencoder, ImageSet]:
    from isthmus.images.animation import read_frames

    check_is_data(frames)
    network = load_model(model)
    images = read_frames(frames, channels=network.channels, range=range)
    report_reading(images)
    return network, images


def _check_is_one_sequence(images: ImageSet, frames: DataLike) -> None:
    if images.labels is None or len(images.classes) < 2:
        return
    hint = Hint("give one of them")
    if isinstance(frames, (str, os.PathLike)) and Path(frames).is_dir():
        hint = Hint(f"give one of them, such as {Path(frames, images.classes[0])}")
    raise UsageError(
        "{source} holds {sequences} sequences, and one is needed",
        id="frames.several-sequences",
        hint=hint,
        source=images.source,
        sequences=len(images.classes),
    )
