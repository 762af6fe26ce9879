"""The model on disk: one safetensors file, tensors plus one JSON header entry. Nothing is ever pickled.

Layout: 8 bytes little-endian header length, the JSON header (`__metadata__.isthmus` holds ours as a string), then
the tensors. `read_header` needs neither torch nor the tensors.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.atomic import atomic_write
from isthmus.errors import CapabilityError, ModelFileError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from isthmus.model.autoencoder import Autoencoder

FORMAT = 1
KEY = "isthmus"
LARGEST_HEADER = 16 * 2**20
_ATTACHED = "attached"


def save(model: Autoencoder, path: str | os.PathLike[str], *, force: bool = True) -> None:
    """Write a model with its recipe, image shape, training summary and attachments.

    Raises:
        OutputError: the file exists (`force` off), the disk is full, or writing is not permitted.
    """
    header = {
        "format": FORMAT,
        "recipe": model.recipe.to_dict(),
        "channels": model.channels,
        "size": list(model.size),
        "summary": model.summary,
        "attachments": {name: a.facts for name, a in model.attachments.items()},
    }
    tensors = dict(model.state_dict())
    for name, attachment in model.attachments.items():
        tensors |= {f"{_ATTACHED}.{name}.{key}": t for key, t in attachment.tensors.items()}
    write_file(path, tensors, {KEY: json.dumps(header)}, force=force)


def load(path: str | os.PathLike[str]) -> Autoencoder:
    """Read a model file; the model is ready to use (evaluation mode, CPU, float32).

    Raises:
        ModelFileError: missing, not a model file, damaged, or from a later version.
    """
    import torch

    from isthmus.model.autoencoder import Attachment, Autoencoder
    from isthmus.model.recipe import Recipe

    header = read_header(path)
    tensors, _ = read_file(path)
    try:
        recipe = Recipe.from_dict(header["recipe"])
        size = (int(header["size"][0]), int(header["size"][1]))
        # On the meta device nothing is allocated, so a lying header cannot ask for memory.
        with torch.device("meta"):
            model = Autoencoder(recipe, channels=int(header["channels"]), size=size)
    except (
        UsageError,
        CapabilityError,
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
        AssertionError,
    ) as error:
        raise ModelFileError(f"{path} is damaged: its header does not describe a model ({error})") from error
    own = {k: t for k, t in tensors.items() if not k.startswith(f"{_ATTACHED}.")}
    _check_tensors(path, model.state_dict(), own)
    model.load_state_dict(own, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model.noise_log_sigma.requires_grad_(False)
    for name, facts in header.get("attachments", {}).items():
        prefix = f"{_ATTACHED}.{name}."
        found = {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
        model.attachments[name] = Attachment(facts, found)
    model.summary = header.get("summary", {})
    return model.eval().to(memory_format=torch.channels_last)


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON part of a model file, without torch and without reading the tensors.

    Raises:
        ModelFileError: as for `load`.
    """
    raw = _safetensors_header(path)
    metadata = raw.get("__metadata__") or {}
    if KEY not in metadata:
        what = "the state of a training" if "isthmus.resume" in metadata else "not an isthmus model"
        raise ModelFileError(f"{path} is {what}, although a safetensors file")
    try:
        header = json.loads(metadata[KEY])
        version = int(header["format"])
    except (ValueError, KeyError, TypeError):
        raise ModelFileError(f"{path} is damaged: its header is not what isthmus writes") from None
    if version > FORMAT:
        raise ModelFileError(
            f"{path} was written by a later version of isthmus (format {version}, this one reads {FORMAT})",
            hint="pip install --upgrade isthmus",
        )
    if not isinstance(header, dict):
        raise ModelFileError(f"{path} is damaged: its header is not what isthmus writes")
    header["tensors"] = {k: v["shape"] for k, v in raw.items() if k != "__metadata__"}
    return header


def write_file(
    path: str | os.PathLike[str], tensors: dict[str, Tensor], metadata: dict[str, str], *, force: bool
) -> None:
    """Write tensors and string metadata as safetensors, atomically.

    Tensors go out one after another, so that no second copy of a large model is held in memory.
    """
    import torch

    names = {torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16", torch.int64: "I64",
             torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL", torch.float16: "F16"}  # fmt: skip
    entries: dict[str, Any] = {"__metadata__": metadata}
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
    with atomic_write(path, force=force) as stream:
        stream.write(struct.pack("<Q", len(header)))
        stream.write(header)
        for tensor in tensors.values():
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            stream.write(flat.view(torch.uint8).numpy().data if flat.numel() else b"")


def read_file(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the string metadata of a safetensors file; offsets and overlaps are checked by the library."""
    import safetensors
    import safetensors.torch

    raw = _safetensors_header(path)
    try:
        tensors = safetensors.torch.load_file(os.fspath(path))
    except (safetensors.SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelFileError(f"{path} is damaged: {_one_line(error)}") from error
    return tensors, raw.get("__metadata__") or {}


def _safetensors_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    name = Path(path)
    try:
        with name.open("rb") as stream:
            start = stream.read(8)
            size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            total = name.stat().st_size
            if start[:2] == b"PK" or start[:1] == b"\x80":
                raise ModelFileError(
                    f"{path} is a pickled file, which isthmus does not open: it could run code"
                )
            if not 2 <= size <= min(LARGEST_HEADER, total - 8):
                raise ModelFileError(f"{path} is not a model file, or it is cut short")
            header = json.loads(stream.read(size))
    except FileNotFoundError:
        raise ModelFileError(f"there is no model file {path}") from None
    except IsADirectoryError:
        raise ModelFileError(f"{path} is a folder, not a model file") from None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise ModelFileError(f"{path} is not a model file, or its header is damaged") from None
    if not isinstance(header, dict) or any(
        not isinstance(v, dict) or not isinstance(v.get("shape", []), list) for v in header.values()
    ):
        raise ModelFileError(f"{path} is not a model file, or its header is damaged")
    return header


def _check_tensors(path: Any, wanted: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    missing = sorted(set(wanted) - set(found))
    extra = sorted(set(found) - set(wanted))
    if missing or extra:
        what = f"lacks {missing[0]}" if missing else f"has an unknown tensor {extra[0]}"
        raise ModelFileError(f"{path} does not fit its recipe: it {what}")
    for name, tensor in wanted.items():
        if tensor.shape != found[name].shape or tensor.dtype != found[name].dtype:
            raise ModelFileError(
                f"{path} does not fit its recipe: {name} is {tuple(found[name].shape)}, not {tuple(tensor.shape)}"
            )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
