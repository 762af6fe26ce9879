"""The state of an unfinished training in one safetensors file: tensors, and all else as JSON in its header.

It is written to a temporary name and renamed, so a crash at any moment leaves the last whole state.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from isthmus.errors import ModelFileError
from isthmus.input_files import parse_json
from isthmus.model import stored_names
from isthmus.model.file import read_file, write_file
from isthmus.outputs import path_exists, shorten_name

FORMAT = 1
_KEY = "isthmus.resume"


@dataclass(frozen=True)
class Checkpoint:
    """`tensors` by name; `facts` are JSON values (recipe, settled choices, history, data fingerprint)."""

    facts: dict[str, Any]
    tensors: dict[str, Tensor]


def resume_path(model_path: str | os.PathLike[str]) -> Path:
    """Where the state of a model's training lies: `photos.safetensors` → `photos.resume.safetensors`."""
    path = Path(model_path)
    return path.with_name(shorten_name(path.name.removesuffix(".safetensors"), ".resume.safetensors"))


def save(path: str | Path, checkpoint: Checkpoint) -> None:
    """Raises:
    OutputError: the disk is full or the folder not writable; the former state stays.
    """
    facts = {**stored_names.stored_resume(checkpoint.facts), "format": FORMAT}
    tensors = {stored_names.stored_resume_tensor(name): t for name, t in checkpoint.tensors.items()}
    write_file(path, tensors, {_KEY: json.dumps(facts)}, force=True)


def load(path: str | Path) -> Checkpoint:
    """Raises:
    ModelFileError: no training state there, damaged, or from a later version.
    """
    if not path_exists(path):
        raise ModelFileError("there is no unfinished training at {path}", id="training.no-state", path=path)
    tensors, metadata = read_file(path, kind="training state")
    if _KEY not in metadata:
        raise ModelFileError("{path} is not the state of a training", id="training.not-a-state", path=path)
    try:
        facts = parse_json(metadata[_KEY], finite=False)  # a loss may be NaN
    except (ValueError, TypeError):
        raise ModelFileError(
            "{path} is damaged: its header is not JSON", id="training.state-not-json", path=path
        ) from None
    if not isinstance(facts, dict) or not isinstance(facts.get("format"), int):
        raise ModelFileError(
            "{path} is damaged: its header has no format number", id="training.state-no-format", path=path
        )
    if facts["format"] > FORMAT:
        raise ModelFileError(
            "{path} was written by a later version of isthmus (format {version})",
            id="training.state-later-version",
            path=path,
            version=facts["format"],
        )
    try:
        current = stored_names.current_resume(facts)
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelFileError(
            "{path} is damaged: it does not describe a training ({reason})",
            id="training.state-undescribed",
            path=path,
            reason=error,
        ) from error
    return Checkpoint(current, {stored_names.current_resume_tensor(name): t for name, t in tensors.items()})
