"""The inputs of the uses: a model, a set of images, one image."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from isthmus.errors import Hint, UsageError
from isthmus.file_jobs import InputFiles, expand_inputs
from isthmus.images.reading_notes import report_reading
from isthmus.log import log_note
from isthmus.messages import as_message
from isthmus.wording import choose_word, format_count

PathLike = str | os.PathLike[str]
Size = tuple[int, int] | int
"""Height and width in pixels, or the side of a square."""
Range = tuple[float, float]
"""The samples that stand for black and white."""
Bands = tuple[int, int, int]
"""Channels that a picture shows as red, green and blue, counted from 1."""
Region = tuple[int, int, int, int]
"""Top, left, height and width of a part of an image, in pixels."""
if TYPE_CHECKING:
    from isthmus.images.store import ImageSet, Pixels
    from isthmus.model.autoencoder import Autoencoder

    ModelLike = Autoencoder | PathLike
    """A model, the path of a model file, or the name of a shipped model."""
    DataLike = Any
    """A folder, file, archive, array, named set (`mnist:test`), a list of those, or an `ImageSet`."""
    ImageLike = Any
    """A path, bytes, file object, NumPy array, torch tensor, PIL image, or `"mnist:test[17]"`."""
else:  # what the command line can give
    ModelLike = DataLike = ImageLike = PathLike

MODEL_SUFFIX = ".safetensors"


def load_model(model: ModelLike) -> Autoencoder:
    """Load the model, see `isthmus.load`; a shipped one is shared and never changed."""
    from isthmus.model.loading import load_shared

    return load_shared(model)


def open_model_and_data(
    model: ModelLike, data: DataLike, *, limit: int | None = None, range: Range | None = None
) -> tuple[Autoencoder, ImageSet]:
    """The model and the images that it is used on.

    Args:
        limit: at most this many images, evenly spaced.
        range: the sample values of black and white.

    Raises:
        UsageError: images where a model is expected, or a model where images are.
        ModelFileError, DataError: see `load_model` and `read_images_for`.
    """
    network = load_model(model)
    return network, read_images_for(network, data, limit=limit, range=range)


def read_images_for(
    model: Autoencoder, data: DataLike, *, limit: int | None = None, range: Range | None = None
) -> ImageSet:
    """Images with the model's number of channels. What was left out or chosen in reading them is logged.

    Args:
        limit: at most this many images, evenly spaced.
        range: the sample values of black and white; these are mapped to [0, 1].

    Raises:
        UsageError: `data` is a model file, `limit` is below 1, or `range` is no range.
        DataError: unreadable, or colour images for a gray model.
    """
    from isthmus.images.subsets import sample_evenly
    from isthmus.model.inference import read_for

    check_is_data(data)
    check_count("limit", limit)
    images = read_for(model, data, range=range)
    report_reading(images)
    return sample_evenly(images, limit)


def read_image_for(model: Autoencoder, image: ImageLike, *, range: Range | None = None) -> Pixels:
    """One image `(H, W, C)` with the model's channels: alpha on white, colour weighed into gray.

    What was left out or chosen in reading it is logged.

    Args:
        range: the sample values of black and white; these are mapped to [0, 1].

    Raises:
        DataError: missing, damaged, no image, or several.
    """
    from isthmus.images.conform import is_gray, to_channels
    from isthmus.images.reading import read_single
    from isthmus.model.inference import GRAY_STORED_AS_RGB

    images = read_single(image, channels=model.channels, range=range)
    report_reading(images)
    if model.channels == 1 and is_gray(images.image(0)):
        log_note(GRAY_STORED_AS_RGB)
    elif images.channels == 3 and model.channels == 1:
        log_note(
            "the image has colour and the model reads gray: its luminance is taken",
            id="reading.luminance",
        )
    return to_channels(images.image(0), model.channels)


def read_images(data: DataLike, *, limit: int | None = None, range: Range | None = None) -> ImageSet:
    """Images as they are, for uses without a model. What was left out or chosen in reading them is logged.

    Args:
        limit, range: as for `read_images_for`.

    Raises:
        UsageError: `data` is a model file, `limit` is below 1, or `range` is no range.
        DataError: unreadable.
    """
    from isthmus.images.reading import read
    from isthmus.images.subsets import sample_evenly

    check_is_data(data)
    check_count("limit", limit)
    images = read(data, range=range)
    report_reading(images)
    return sample_evenly(images, limit)


def list_image_files(
    inputs: DataLike,
    *,
    limit: int | None = None,
    range: Range | None = None,
    bounds: Range | None = None,
    out: PathLike | None = None,
    in_place: bool = False,
) -> InputFiles:
    """The image files that are given, those in the folders that are given, and the images of sets (array
    files, archives, named sets, `t.npy[5]`, arrays, an `ImageSet`), with their names. What was chosen in
    reading sets is logged.

    Args:
        limit: at most this many of them, evenly spaced.
        range: the sample values of black and white; where it is given, images of sets come as float32
            in the units of their samples, to be mapped by the use.
        bounds: where floats of sets may lie; by default [0, 1].
        out: where results are written; files in it are not taken as input.
        in_place: `out` may be the folder of the images.

    Raises:
        UsageError: one of them is a model file, `limit` is below 1, `range` is no range, or `out` is a folder
            of images and not `in_place`.
        DataError: nothing is given, a folder without images, or one that cannot be listed.
    """
    from isthmus.images.listing import list_images
    from isthmus.images.sample_range import check_range
    from isthmus.images.set_images import list_object_images, list_set_images

    def list_folder(folder: Path) -> InputFiles:
        listed = list_images(folder)
        for note in listed.notes:
            # Where files are made from files, labels play no part.
            if getattr(note, "id", "") != "reading.loose-images":
                log_note(as_message(note, id="reading.note"))
        return InputFiles(tuple((file.path, file.name) for file in listed.files), listed.skipped)

    check_count("limit", limit)
    check_range(range)
    raw = range is not None
    inputs = list(inputs) if isinstance(inputs, (tuple, Iterator)) else inputs
    for item in inputs if isinstance(inputs, list) else [inputs]:
        check_is_data(item)
    listed = expand_inputs(
        inputs,
        list_folder,
        list_set=lambda name: list_set_images(name, raw=raw, bounds=bounds),
        list_object=lambda value, place: list_object_images(value, place, raw=raw, bounds=bounds),
    )
    for note in listed.notes:
        log_note(as_message(note, id="reading.note"))
    if out is not None:
        paths = [
            Path(item)
            for item in (inputs if isinstance(inputs, list) else [inputs])
            if isinstance(item, (str, os.PathLike))
        ]
        listed = _leave_results_out(listed, paths, Path(out), in_place=in_place)
    return listed.evenly(limit)


def _leave_results_out(
    listed: InputFiles, inputs: Sequence[Path], out: Path, *, in_place: bool
) -> InputFiles:
    """Without the files below `out` that were found in a folder around it: results of an earlier call.

    Raises:
        UsageError: see `list_image_files`.
    """
    from isthmus.outputs import is_folder

    place = _resolve(out)
    folders = [_resolve(source) for source in inputs if is_folder(source)]
    is_input_folder = place in folders
    if is_input_folder and not in_place:
        raise UsageError(
            "{out} is the folder of the input images, which would be replaced",
            id="output.in-place",
            hint=Hint.add(in_place=True),
            out=os.fspath(out),
        )
    if in_place and not is_input_folder:
        refuse_unused("in_place", "where the output is not the folder of the images")
    if is_input_folder:
        return _keep_below(listed, place)
    if not any(place.is_relative_to(folder) for folder in folders):
        return listed
    named = {_resolve(source) for source in inputs}
    rows = [
        row
        for row, (path, _) in enumerate(listed.files)
        if path in named or not _resolve(path.parent).is_relative_to(place) or row in listed.images
    ]
    left_out = len(listed.files) - len(rows)
    if left_out:
        log_note(
            "{files} in the output folder {out} {verb} not taken as input",
            id="output.inside-input",
            files=format_count(left_out, "file"),
            out=os.fspath(out),
            verb=choose_word(left_out, "is", "are"),
        )
    return listed.chosen(rows)


def _keep_below(listed: InputFiles, folder: Path) -> InputFiles:
    """Without files that lie outside of the folder, which links lead to: they are not written in place."""
    places = [path if path.is_symlink() else path.parent for path, _ in listed.files]
    real = {place: _resolve(place) for place in set(places)}
    rows = [row for row, place in enumerate(places) if real[place].is_relative_to(folder)]
    left_out = len(listed.files) - len(rows)
    if left_out:
        log_note(
            "{files} outside of {folder}, reached by links, {verb} left as {they}",
            id="output.outside-in-place",
            files=format_count(left_out, "file"),
            folder=os.fspath(folder),
            verb=choose_word(left_out, "is", "are"),
            they=choose_word(left_out, "it is", "they are"),
        )
    return listed.chosen(rows)


def _resolve(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a circle of links
        return path


def is_model_file(value: object) -> bool:
    """Whether this is a path that ends like a model file's and is no folder."""
    return (
        isinstance(value, (str, os.PathLike))
        and Path(value).suffix == MODEL_SUFFIX
        and not Path(value).is_dir()
    )


def check_is_data(data: DataLike) -> None:
    """Raises:
    UsageError: this is a model file, and images are expected here.
    """
    if is_model_file(data):
        raise UsageError(
            "{data} is a model file, but images are expected in its place",
            id="data.is-model",
            hint=Hint.call("inspect_file", os.fspath(data)),
            data=os.fspath(data),
        )


def check_count(name: str, value: int | None, *, least: int = 1) -> None:
    """Raises:
    UsageError: a number of things that is not a whole number from `least` on.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise UsageError(
            "{name}={value}: expected a whole number of at least {least}",
            id="option.count",
            name=name,
            value=value,
            least=least,
        )


def check_choice(name: str, value: str | None, choices: Sequence[str]) -> None:
    """Raises:
    UsageError: none of the known values; the message names the nearest.
    """
    from isthmus.errors import nearest

    if value is not None and value not in choices:
        raise UsageError(
            "{name} '{value}' is not known{suggestion}",
            id="option.choice",
            name=name,
            value=value,
            suggestion=nearest(str(value), tuple(choices)),
        )


def refuse_unused(option: str, reason: str, *, hint: Hint | None = None) -> NoReturn:
    """Refuse an option that was given and changes nothing.

    Args:
        reason: ends the sentence "OPTION has no effect …".

    Raises:
        UsageError: always.
    """
    raise UsageError(
        "{option} has no effect {reason}", id="option.no-effect", hint=hint, option=option, reason=reason
    )


def describe_model(model: ModelLike, network: Autoencoder) -> str:
    """How a result calls the model: as it was given, or by its recipe."""
    return os.fspath(model) if isinstance(model, (str, os.PathLike)) else network.recipe.name


def describe_input(value: ImageLike) -> str:
    """How a result calls an image or a set: as it was given, or what kind of object it is."""
    return os.fspath(value) if isinstance(value, (str, os.PathLike)) else type(value).__name__


class ImageLookup:
    """Single images of a set, read again on request, so that a result holds no pixels of files.

    Arrays that the caller gave are kept as they are: they are the caller's own.

    Args:
        model: images are read with its number of channels; None reads them as they are.
        data: the set as it was given.
        images: the same set as it was read.
        range: the samples that stood for black and white.
        target: of pairs, the targets as they were given.
    """

    def __init__(
        self,
        model: Autoencoder | None,
        data: DataLike,
        images: ImageSet,
        range: Range | None = None,
        target: DataLike | None = None,
    ) -> None:
        self._model, self._data, self._names = model, data, images.names
        self._range, self._target = range, target
        paths = all(isinstance(source, (str, os.PathLike)) for source in (data, target) if source is not None)
        self._held = None if paths else images

    def read(self, rows: Sequence[int]) -> ImageSet:
        """The images of these rows.

        Raises:
            DataError: the files are no longer there.
        """
        from isthmus.images.pairs import pair_sets
        from isthmus.images.reading import read
        from isthmus.model.inference import read_for

        if self._held is not None:
            return self._held.subset(list(rows))
        if self._model is None:
            images = read(self._data, range=self._range)
        else:
            images = read_for(self._model, self._data, range=self._range)
            if self._target is not None:
                targets = read_for(self._model, self._target, range=self._range, targets=True)
                images = pair_sets(images, targets)
        places = {name: row for row, name in enumerate(images.names)}
        return images.subset([places[self._names[row]] for row in rows])
