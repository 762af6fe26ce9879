"""The model on disk: one safetensors file, tensors plus one JSON header entry. Nothing is ever pickled.

Layout: 8 bytes little-endian header length, the JSON header (`__metadata__.isthmus` holds ours as a string),
then the tensors. `read_header` needs neither torch nor the tensors. Weights may be stored in 16 bits.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from isthmus.atomic import atomic_write
from isthmus.errors import CapabilityError, ModelFileError, OutputError, UsageError, one_line
from isthmus.images.bands import MAX_CHANNELS
from isthmus.input_files import NotAFileError, check_value, open_input, parse_json
from isthmus.installation import upgrade_hint
from isthmus.model import stored_names
from isthmus.model.attachment_check import HEADER_DAMAGE, check_weights
from isthmus.model.summary_check import check_summary

if TYPE_CHECKING:
    from torch import Tensor

    from isthmus.model.autoencoder import Autoencoder


FORMAT = 2  # 2: weights may be of 8 bits
KEY = "isthmus"
LARGEST_HEADER = 16 * 2**20
LARGEST_SIDE = 65536
ATTACHED = stored_names.ATTACHED


def save(model: Autoencoder, path: str | os.PathLike[str], *, force: bool = True, bits: Bits = 32) -> None:
    """Write a model with its recipe, image shape, training summary and attachments.

    Args:
        bits: of a stored weight. 16 (float16) halve the file; 8 (whole numbers, with a step for each output
            of a layer) quarter it. `read_model` widens them again.

    Raises:
        OutputError: the file exists (`force` off), the disk is full, or writing is not permitted.
    """
    header = {
        "format": FORMAT if bits == 8 else 1,
        "recipe": model.recipe.to_dict(),
        "channels": model.channels,
        "size": list(model.size),
        "summary": model.summary,
        "attachments": {name: a.facts for name, a in model.attachments.items()},
    }
    tensors = narrowed(dict(model.state_dict()), bits)
    for name, attachment in model.attachments.items():
        tensors |= {f"{ATTACHED}.{name}.{key}": t for key, t in attachment.tensors.items()}
    write_model(path, tensors, header, force=force)


def write_model(
    path: str | os.PathLike[str],
    tensors: dict[str, Tensor],
    header: dict[str, Any],
    metadata: dict[str, str] | None = None,
    *,
    force: bool,
) -> None:
    """Write the tensors and the header of a model, given under current names, under their stored ones.

    Raises:
        OutputError: as for `save`.
    """
    text = json.dumps(stored_names.stored_header(header))
    write_file(path, stored_names.stored_tensors(tensors), {**(metadata or {}), KEY: text}, force=force)


def read_model(path: str | os.PathLike[str]) -> Autoencoder:
    """Read a model file, ready to use (evaluation mode, CPU, float32); `isthmus.load` finds it.

    Raises:
        ModelFileError: missing, not a model file, damaged, or from a later version.
    """
    from isthmus.model.allocation import room_for
    from isthmus.model.autoencoder import Attachment, Autoencoder
    from isthmus.model.recipe import Recipe
    from isthmus.model.tensors import channels_last

    header = read_header(path)
    mapped = stored_names.current_tensors(_map_tensors(path))
    try:
        recipe = Recipe.from_dict(header["recipe"])
        height, width = (int(side) for side in header["size"])
        channels = int(header["channels"])
        if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE and 1 <= channels <= MAX_CHANNELS):
            raise ValueError(f"{channels} channels of {height}×{width}")
        # A false header cannot cause much more memory use than its tensors take.
        with room_for(mapped.values()):
            model = Autoencoder(recipe, channels=channels, size=(height, width))
    except (UsageError, CapabilityError, *HEADER_DAMAGE) as error:
        raise ModelFileError(
            "{path} is damaged: its header does not describe a model ({reason})",
            id="model-file.no-model",
            path=path,
            reason=one_line(error),
        ) from error
    try:
        own = widened({k: t for k, t in mapped.items() if not k.startswith(f"{ATTACHED}.")})
    except ValueError as error:
        raise ModelFileError(
            "{path} does not fit its recipe: {reason}", id="model-file.recipe", path=path, reason=error
        ) from error
    _check_tensors(path, model.state_dict(), own)
    check_weights(path, own)
    # Widening made a copy of every narrow tensor; the others still lie in the file.
    model.load_state_dict({k: t.clone() if t is mapped[k] else t for k, t in own.items()}, assign=True)
    model.requires_grad_(False)
    for name, facts in header["attachments"].items():
        prefix = f"{ATTACHED}.{name}."
        tensors = {k.removeprefix(prefix): t.clone() for k, t in mapped.items() if k.startswith(prefix)}
        model.attachments[name] = Attachment(facts, tensors)
    model.summary = header["summary"]
    return channels_last(model.eval())


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON part of a model file, without torch and without reading the tensors.

    Raises:
        ModelFileError: as for `read_model`.
    """
    raw = _safetensors_header(path)
    metadata = raw.get("__metadata__") or {}
    if KEY not in metadata:
        what = "the state of a training" if "isthmus.resume" in metadata else "not an isthmus model"
        raise ModelFileError(
            "{path} is {what}, although a safetensors file", id="model-file.other-kind", path=path, what=what
        )
    try:
        header = parse_json(metadata[KEY], finite=False)  # a loss in the summary may be NaN
        version = int(header["format"])
        for key in ("summary", "attachments"):
            if not isinstance(header.setdefault(key, {}), dict):
                raise TypeError(key)
        if not all(isinstance(facts, dict) for facts in header["attachments"].values()):
            raise TypeError("attachments")
        header = stored_names.current_header(header)
        check_summary(header["summary"])
        check_value({key: value for key, value in header.items() if key != "summary"})
    except HEADER_DAMAGE:
        raise ModelFileError(
            "{path} is damaged: its header is not what isthmus writes", id="model-file.header", path=path
        ) from None
    if version > FORMAT:
        raise ModelFileError(
            "{path} was written by a later version of isthmus (format {version}, this one reads {supported})",
            id="model-file.later-version",
            hint=upgrade_hint(),
            path=path,
            version=version,
            supported=FORMAT,
        )
    shapes = {k: v.get("shape") for k, v in raw.items() if k != "__metadata__"}
    header["tensors"] = stored_names.current_tensors(shapes)
    result: dict[str, Any] = header
    return result


def write_file(
    path: str | os.PathLike[str], tensors: dict[str, Tensor], metadata: dict[str, str], *, force: bool
) -> None:
    """Write tensors and string metadata as safetensors, atomically.

    Tensors go out one after another, so that no second copy of a large model is held in memory.
    """
    import torch

    names = {torch.float64: "F64", torch.int64: "I64", torch.float32: "F32", torch.int32: "I32",
             torch.bfloat16: "BF16", torch.float16: "F16", torch.uint16: "U16", torch.int16: "I16",
             torch.uint8: "U8", torch.int8: "I8", torch.bool: "BOOL"}  # fmt: skip
    entries: dict[str, Any] = {"__metadata__": metadata}
    # Widest first, so that every tensor begins at a multiple of its own sample's size.
    tensors = dict(sorted(tensors.items(), key=lambda item: -item[1].element_size()))
    offset = 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        entries[name] = {
            "dtype": names[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > LARGEST_HEADER:
        raise OutputError(
            "cannot write {path}: its header would be larger than {most_mib} MB",
            id="output.header-too-large",
            path=path,
            most_mib=LARGEST_HEADER >> 20,
        )
    with atomic_write(path, force=force) as stream:
        stream.write(struct.pack("<Q", len(header)))
        stream.write(header)
        for tensor in tensors.values():
            # A single number is contiguous whatever its strides, and with some cannot be viewed as bytes.
            flat = tensor.detach().cpu().contiguous().as_strided((tensor.numel(),), (1,))
            stream.write(flat.view(torch.uint8).numpy().data if flat.numel() else b"")


def read_file(
    path: str | os.PathLike[str], *, kind: str = "model file"
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the string metadata of a safetensors file, whose offsets the library checks.

    Args:
        kind: the name of such a file in errors, for use after "a" and "no".

    Raises:
        ModelFileError: missing, unreadable, or not a safetensors file.
    """
    raw = _safetensors_header(path, kind)
    tensors = {name: tensor.clone() for name, tensor in _map_tensors(path).items()}
    return tensors, raw.get("__metadata__") or {}


def _map_tensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """All tensors of a safetensors file, in a memory map of it.

    Callers copy what they keep: otherwise a write to the file would change the model, and Windows could not
    replace the file.
    """
    import safetensors
    import safetensors.torch

    try:
        return safetensors.torch.load_file(os.fspath(path))
    except (safetensors.SafetensorError, OSError, MemoryError, *HEADER_DAMAGE) as error:
        raise ModelFileError(
            "{path} is damaged: {reason}", id="model-file.damaged", path=path, reason=one_line(error)
        ) from error


def _safetensors_header(path: str | os.PathLike[str], kind: str = "model file") -> dict[str, Any]:
    name = Path(path)
    try:
        with open_input(name) as stream:
            start = stream.read(8)
            size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= size <= min(LARGEST_HEADER, name.stat().st_size - 8):
                # Checked last, because the length of a header may begin with the same bytes.
                if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":
                    raise ModelFileError(
                        "{path} is pickled, which isthmus does not open: it could run code",
                        id="model-file.pickled",
                        path=path,
                    )
                raise ModelFileError(
                    "{path} is not a {kind}, or it is cut short", id="model-file.short", path=path, kind=kind
                )
            header = parse_json(stream.read(size))
    except ModelFileError:
        raise
    except FileNotFoundError:
        raise ModelFileError(
            "there is no {kind} {path}", id="model-file.absent", kind=kind, path=path
        ) from None
    except IsADirectoryError:
        raise ModelFileError(
            "{path} is a folder, not a {kind}", id="model-file.is-folder", path=path, kind=kind
        ) from None
    except NotAFileError as error:
        raise ModelFileError(
            "{path} {reason}", id="model-file.problem", path=path, reason=error.strerror
        ) from None
    except OSError as error:
        raise ModelFileError(
            "{path} cannot be read: {reason}",
            id="model-file.cannot-read",
            path=path,
            reason=error.strerror or error,
        ) from None
    except ValueError:
        raise ModelFileError(
            "{path} is not a {kind}, or its header is damaged",
            id="model-file.unreadable-header",
            path=path,
            kind=kind,
        ) from None
    if not isinstance(header, dict) or any(
        not isinstance(v, dict)
        or not isinstance(v.get("shape", []), list)
        or any(not isinstance(side, int) or side < 0 for side in v.get("shape", []))
        for v in header.values()
    ):
        raise ModelFileError(
            "{path} is not a {kind}, or its header is damaged",
            id="model-file.unreadable-header",
            path=path,
            kind=kind,
        )
    return header


def _check_tensors(path: Any, expected: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
    missing = sorted(set(expected) - set(tensors))
    extra = sorted(set(tensors) - set(expected))
    if missing or extra:
        what = f"lacks {missing[0]}" if missing else f"has an unknown tensor {extra[0]}"
        raise ModelFileError(
            "{path} does not fit its recipe: it {what}", id="model-file.network", path=path, what=what
        )
    for name, tensor in expected.items():
        if tensor.shape != tensors[name].shape or tensor.dtype != tensors[name].dtype:
            has, needs = (f"{t.dtype} {tuple(t.shape)}" for t in (tensors[name], tensor))
            raise ModelFileError(
                "{path} does not fit its recipe: {name} is {given}, not {expected}",
                id="model-file.tensor",
                path=path,
                name=name,
                given=has,
                expected=needs,
            )


Bits = Literal[8, 16, 32]
STEP = "::step"  # what the steps of a tensor in 8 bits are called
LEAST = 1024  # smallest tensor that is stored in 8 bits, in numbers: smaller ones need little space


def narrowed(tensors: dict[str, Tensor], bits: Bits) -> dict[str, Tensor]:
    """The stored form of `tensors`: with 8 bits, matrices and kernels are rounded, with one step for each
    output.
    """
    import torch

    if bits == 32:
        return tensors
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            stored[name] = tensor
        elif bits == 16 or tensor.ndim < 2 or tensor.numel() < LEAST:
            stored[name] = tensor.half()
        else:
            largest = tensor.abs().flatten(1).amax(1).float()
            step = torch.where(largest > 0, largest / 127, 1.0)
            stored[name] = (tensor.float() / _match_axes(step, tensor)).round().to(torch.int8)
            stored[name + STEP] = step
    return stored


def widened(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse: floats of 32 bits.

    Raises:
        ValueError: steps that do not belong to a tensor.
    """
    restored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(STEP):
            of = tensors.get(name.removesuffix(STEP))
            if of is None or of.ndim == 0 or tensor.shape != of.shape[:1]:
                raise ValueError(f"{name} has no tensor that it fits")
            continue
        step = tensors.get(name + STEP)
        if step is not None:
            restored[name] = tensor.float() * _match_axes(step.float(), tensor)
        else:
            short = tensor.is_floating_point() and tensor.element_size() == 2
            restored[name] = tensor.float() if short else tensor
    return restored


def _match_axes(step: Tensor, tensor: Tensor) -> Tensor:
    return step.view(-1, *(1,) * (tensor.ndim - 1))
