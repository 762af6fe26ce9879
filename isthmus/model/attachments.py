"""Attachments: priors, feature extractors and others that are fitted to a trained model and stored in its
file.

    attach("photos.safetensors", "prior/flow", tensors, {"steps": 3000})
    found = attached(load("photos.safetensors"), "prior/flow")

`encode` and `decode` never depend on one. In a file, only the attachment is rewritten: the network's own
tensors keep every bit, also where they are stored in 16 bits.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from isthmus.errors import CapabilityError, ModelFileError
from isthmus.input_files import parse_json
from isthmus.locks import exclusive
from isthmus.model import file, stored_names
from isthmus.model.file import ATTACHED
from isthmus.model.loading import resolve_model_path

if TYPE_CHECKING:
    from torch import Tensor

    from isthmus.model.autoencoder import Attachment, Autoencoder

_PATIENCE_SECONDS = 30.0  # another process that writes an attachment takes less
# No dot, which separates the name of an attachment from those of its tensors.
_NAME = re.compile(r"[a-z0-9]+([-/][a-z0-9]+)*")


def attach(
    model: Autoencoder | str | os.PathLike[str],
    name: str,
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
) -> None:
    """Put an attachment into a model, in memory or in its file; one of the same name is replaced.

    Args:
        model: a model (then `model.save` writes the attachment with it), or the path of a model file, which
            is replaced in one step.
        name: lower-case words and digits joined by `-` or `/`, for example `prior/flow`.
        tensors: of any dtype that a model file holds; they are stored as given.
        facts: JSON values.

    Raises:
        ValueError: an impossible name.
        ModelFileError: the file is missing, damaged, or not a model.
        UsageError: a shipped model, which is not changed.
        OutputError: the file cannot be replaced.
        BusyError: another process is training or changing this model.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"'{name}' cannot name an attachment: lower-case words joined by - or /")
    if isinstance(model, (str, os.PathLike)):
        _rewrite(resolve_model_path(model, to_change=True), name, tensors, dict(facts))
        return
    from isthmus.model.autoencoder import Attachment

    model.attachments[name] = Attachment(dict(facts), dict(tensors))


def attached(model: Autoencoder, name: str, *, hint: str | None = None) -> Attachment:
    """The attachment of that name.

    Raises:
        CapabilityError: the model has none; `hint` is the command that would make it.
    """
    attachment = model.attachments.get(name)
    if attachment is None:
        have = ", ".join(sorted(model.attachments)) or "nothing"
        raise CapabilityError(
            "this model has no '{name}' attached (attached: {attached})",
            id="model.no-attachment",
            hint=hint,
            name=name,
            attached=have,
        )
    return attachment


def detach(model: Autoencoder | str | os.PathLike[str], name: str) -> None:
    """Remove an attachment, in memory or in the file; it need not be there."""
    if isinstance(model, (str, os.PathLike)):
        _rewrite(resolve_model_path(model, to_change=True), name, {}, None)
    else:
        model.attachments.pop(name, None)


def _rewrite(
    path: str | os.PathLike[str], name: str, tensors: Mapping[str, Tensor], facts: dict[str, Any] | None
) -> None:
    file.read_header(path)  # raises on what is not a model
    with exclusive(path, patience=_PATIENCE_SECONDS):
        _replace(path, name, tensors, facts)


def _replace(
    path: str | os.PathLike[str], name: str, tensors: Mapping[str, Tensor], facts: dict[str, Any] | None
) -> None:
    raw, metadata = file.read_file(path)
    stored = stored_names.current_tensors(raw)
    header = stored_names.current_header(parse_json(metadata[file.KEY], finite=False))
    attachments = header.setdefault("attachments", {})
    if not isinstance(attachments, dict):
        raise ModelFileError(
            "{path} is damaged: its header is not what isthmus writes", id="model-file.header", path=path
        )
    attachments.pop(name, None)
    prefix = f"{ATTACHED}.{name}."
    others = {key: tensor for key, tensor in stored.items() if not key.startswith(prefix)}
    if facts is not None:
        attachments[name] = facts
        others |= {prefix + key: tensor for key, tensor in tensors.items()}
    file.write_model(path, others, header, metadata, force=True)
