"""Write a model as ONNX files and check that they compute the same as the model.

Needs the extra `onnx`. A vector code is tied to its image size; a grid code takes any whose sides are
multiples of the model's step. Both take any number of images.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.atomic import write_bytes
from isthmus.errors import IsthmusError, MissingExtraError
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.capabilities import check_exported
from isthmus.model.tensors import apply_range
from isthmus.outputs import check_output


@dataclass(frozen=True)
class Graph:
    """One part.

    Attributes:
        name: `encoder`, `decoder`, or `whole` for a model whose code does not hold the image.
        module: takes and gives one tensor.
        input, output: what these are called in the file.
        step: the input's sides are multiples of this; None where they are fixed.
        example: shape `(N, C, …)` of an input, for N images and, where sides are free, a height and a width
            in steps.
        own: height and width of the model's own size, in steps.
    """

    name: str
    module: nn.Module
    input: str
    output: str
    step: int | None
    example: Callable[[int, int, int], tuple[int, ...]]
    own: tuple[int, int]


def graphs(model: Autoencoder) -> list[Graph]:
    """Encoder and decoder apart, or the whole of a model with skips."""
    if model.recipe.backbone.has_skips:
        return [_from_images(model, "whole", Whole(model), "restored")]
    shape = model.recipe.geometry.shape(_canvas(model))
    free = model.recipe.geometry.stride is not None

    def code(count: int, rows: int, columns: int) -> tuple[int, ...]:
        if not free:
            return (count, *shape)
        per_step = model.multiple // (model.recipe.geometry.stride or 1)
        return count, shape[0], rows * per_step, columns * per_step

    per_step = model.multiple // (model.recipe.geometry.stride or 1) if free else None
    return [
        _from_images(model, "encoder", Encode(model), "code"),
        Graph("decoder", Decode(model), "code", "images", per_step, code, _own(model)),
    ]


class Encode(nn.Module):
    """`(N, C, H, W)` in [0, 1] → the deterministic code, as `Autoencoder.encode_batch`."""

    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        model = self.model
        features = model.encoder(_padded(_with_condition(images, model), model), None)
        # A deterministic code needs no random numbers, but the signature has a generator.
        code = model.bottleneck(features.h.float(), torch.Generator(), False)
        values: Tensor = code.values
        return values


class Decode(nn.Module):
    """Code values → `(N, C, H, W)` in [0, 1], as `Autoencoder.decode_batch`."""

    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, code: Tensor) -> Tensor:
        model, stride = self.model, self.model.recipe.geometry.stride
        size = _canvas(model)
        if stride is not None:
            size = (code.shape[-2] * stride, code.shape[-1] * stride)
        raw = model.decoder(code, size, []).float()
        if stride is None:
            raw = raw[..., : model.size[0], : model.size[1]]
        return apply_range(raw + model.offset, model.recipe.backbone.output).clamp(0, 1)


class Whole(nn.Module):
    """`(N, C or C + 1, H, W)` → `(N, C, H, W)`, restored; the further input channel is the condition."""

    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        model = self.model
        features = model.encoder(images, None)
        code = model.bottleneck(features.h.float(), torch.Generator(), False)
        raw = model.decoder(code.values, (images.shape[-2], images.shape[-1]), features.skips).float()
        return apply_range(raw + model.offset, model.recipe.backbone.output).clamp(0, 1)


def _from_images(model: Autoencoder, name: str, module: nn.Module, output: str) -> Graph:
    free = model.recipe.geometry.is_grid
    # A model with skips gets the strength of the noise, or the hidden pixels, as a further channel.
    channels = model.channels + (name == "whole" and model.recipe.corruption.has_condition)

    def images(count: int, rows: int, columns: int) -> tuple[int, ...]:
        size = (rows * model.multiple, columns * model.multiple) if free else model.size
        return count, channels, *size

    return Graph(name, module, "images", output, model.multiple if free else None, images, _own(model))


def _with_condition(images: Tensor, model: Autoencoder) -> Tensor:
    if not model.recipe.corruption.has_condition:
        return images
    return torch.cat([images, torch.zeros_like(images[:, :1])], 1)


def _padded(images: Tensor, model: Autoencoder) -> Tensor:
    if model.recipe.geometry.is_grid:
        return images
    height, width = _canvas(model)
    down, right = height - model.size[0], width - model.size[1]
    if not down and not right:
        return images
    return torch.nn.functional.pad(images, (0, right, 0, down), mode="replicate")


def _own(model: Autoencoder) -> tuple[int, int]:
    height, width = _canvas(model)
    return height // model.multiple, width // model.multiple


def _canvas(model: Autoencoder) -> tuple[int, int]:
    height, width = (-(-side // model.multiple) * model.multiple for side in model.size)
    return height, width


TOLERANCE = 1e-5
_EXAMPLE = (2, 3, 4)  # images, rows and columns in steps
_UNSEEN = ((1, 5, 2), (5, 2, 6))
_SUFFIX = ".onnx"


class ExportError(IsthmusError):
    """The written graph does not compute what the model does."""


@dataclass(frozen=True)
class ExportedFile:
    """One ONNX file, checked.

    Attributes:
        part: `encoder`, `decoder` or `whole`.
        path: of the file.
        bytes: its size.
        input: name of the input.
        output: name of the output.
        shape: of the input: numbers where a side is fixed and names where it is free.
        step: free sides are multiples of this; null where they are fixed.
        error: largest difference from torch at the checked shapes, relative to 1 or to the largest value.
        checked: the shapes at which the file was run, which the export had not seen.
    """

    part: str
    path: str
    bytes: int
    input: str
    output: str
    shape: tuple[int | str, ...]
    step: int | None
    error: float
    checked: tuple[tuple[int, ...], ...]


def write_onnx(
    model: Autoencoder, path: str | os.PathLike[str], *, force: bool = False
) -> tuple[ExportedFile, ...]:
    """Write `NAME.encoder.onnx` and `NAME.decoder.onnx` (or `NAME.onnx` for a model with skips), checked.

    Images are `(N, C, H, W)` float32 in [0, 1]. Every file is run by ONNX Runtime at two shapes that the
    export did not see before it gets its name.

    Args:
        path: `NAME.onnx` or `NAME`.

    Raises:
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
        CapabilityError: a part of the recipe does not state that it may be exported.
        ExportError: a file's answers differ from torch's by more than 1e-5, or the model has a part that
            cannot be written.
        OutputError: a file exists (`force` off), or cannot be written.
    """
    _check_extra()
    check_exported(model.recipe)
    model = model.to("cpu").eval()
    stem = str(path).removesuffix(_SUFFIX)
    parts = [
        (graph, Path(f"{stem}{_SUFFIX}" if graph.name == "whole" else f"{stem}.{graph.name}{_SUFFIX}"))
        for graph in graphs(model)
    ]
    if path in ("", "-"):
        check_output(path, force=force)  # raises
    for _, file in parts:
        check_output(file, force=force)
    written = [(graph, file, *_proven(graph)) for graph, file in parts]
    for _, file, data, _ in written:
        write_bytes(file, data)
    return tuple(_described(graph, file, data, proof) for graph, file, data, proof in written)


@dataclass(frozen=True)
class _Proof:
    free: bool
    error: float
    shapes: tuple[tuple[int, ...], ...]


def _proven(graph: Graph) -> tuple[bytes, _Proof]:
    """The file's bytes; with free sides if the model allows them and the file passes its check."""
    if graph.step is not None:
        with contextlib.suppress(ExportError):
            data = _translated(graph, free=True)
            return data, _proof(graph, data, free=True)
    data = _translated(graph, free=False)
    return data, _proof(graph, data, free=False)


def _proof(graph: Graph, data: bytes, *, free: bool) -> _Proof:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    worst, shapes = 0.0, []
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        for count, rows, columns in _UNSEEN:
            steps = (count, rows, columns) if free else (count, *graph.own)
            example = _example(graph, steps, seed=count)
            with torch.no_grad():
                expected = graph.module(example)
            (result,) = session.run([graph.output], {graph.input: example.numpy()})
            scale = max(1.0, float(expected.abs().max()))
            worst = max(worst, float((torch.from_numpy(result) - expected).abs().max()) / scale)
            shapes.append(tuple(example.shape))
    except Exception as error:  # the runtime's own kinds derive from no common one
        raise ExportError(
            "the exported {graph} does not run: {reason}",
            id="export.does-not-run",
            graph=graph.name,
            reason=_first_line(error),
        ) from error
    if not worst <= TOLERANCE:
        raise ExportError(
            "the exported {graph} differs from the model by {worst:.2g}: nothing was written",
            id="export.differs",
            graph=graph.name,
            worst=worst,
        )
    return _Proof(free, worst, tuple(shapes))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _translated(graph: Graph, *, free: bool) -> bytes:
    from torch.export import Dim, export

    example = _example(graph, _EXAMPLE if free else (_EXAMPLE[0], *graph.own), seed=0)
    dynamic: dict[int, Any] = {0: Dim("images", min=1, max=65535)}
    if free:
        step = graph.step or 1
        for axis, name in ((2, "rows"), (3, "columns")):
            dim = Dim(name, min=2, max=4096)
            dynamic[axis] = step * dim if step > 1 else dim
    with _quiet():
        try:
            program = export(graph.module, (example,), dynamic_shapes=(dynamic,), strict=False)
            onnx = torch.onnx.export(
                program,
                (),
                dynamo=True,
                verbose=False,
                input_names=[graph.input],
                output_names=[graph.output],
            )
        except Exception as error:  # torch raises dozens of error types here
            raise ExportError(
                "the {graph} cannot be exported: {reason}",
                id="export.failed",
                graph=graph.name,
                reason=_first_line(error),
            ) from error
    assert onnx is not None
    proto = onnx.model_proto
    proto.doc_string = f"isthmus {graph.name}: {graph.input} -> {graph.output}"
    data: bytes = proto.SerializeToString()
    return data


def _example(graph: Graph, steps: tuple[int, int, int], *, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(graph.example(*steps), generator=generator)


def _described(graph: Graph, file: Path, data: bytes, proof: _Proof) -> ExportedFile:
    example = graph.example(1, *graph.own)
    shape: tuple[int | str, ...] = ("images", *example[1:])
    if proof.free:
        shape = ("images", example[1], "rows", "columns")
    step = graph.step if proof.free else None
    return ExportedFile(
        graph.name, str(file), len(data), graph.input, graph.output, shape, step, proof.error, proof.shapes
    )


def _check_extra() -> None:
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in ("onnx", "onnxruntime", "onnxscript")):
        raise MissingExtraError("writing ONNX files", "onnx")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    # The exporter logs many details that nobody needs.
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
