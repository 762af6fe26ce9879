"""A model with its tables, read, checked and tested, and its fingerprint: ready to code."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from isthmus.codec import transform
from isthmus.codec.self_test import ensure_self_test
from isthmus.codec.stored import ATTACHMENT, from_attachment
from isthmus.codec.tables import Tables
from isthmus.errors import CapabilityError, Hint
from isthmus.model import stored_names
from isthmus.model.autoencoder import Attachment, Autoencoder

FINGERPRINT_BYTES = 8


@dataclass(frozen=True, eq=False)
class Codec:
    """A model, its tables, and the 8 bytes that stand for both in a file."""

    model: Autoencoder
    tables: Tables
    fingerprint: bytes

    @property
    def stride(self) -> int:
        stride = self.model.recipe.geometry.stride
        assert stride is not None
        return stride


_codecs: WeakKeyDictionary[Autoencoder, tuple[Attachment, Codec]] = WeakKeyDictionary()


def make_codec(model: Autoencoder) -> Codec:
    """The model as a codec; done once per model.

    Raises:
        CapabilityError: it cannot compress, or no tables were fitted to it.
        ModelFileError: its tables are damaged, or this installation fails their self-test.
    """
    attachment = model.attachments.get(ATTACHMENT)
    cached = _codecs.get(model)
    if cached is not None and cached[0] is attachment:
        return cached[1]
    transform.check_codec(model)
    if attachment is None:
        raise CapabilityError(
            "this model has no tables for its symbols yet: training a codec fits them",
            id="codec.no-tables",
            hint=Hint.call("train", "DATA", recipe="codec"),
        )
    tables = from_attachment(attachment.facts, attachment.tensors, channels=model.recipe.geometry.channels)
    ensure_self_test(attachment, tables)
    codec = Codec(model, tables, fingerprint(model))
    _codecs[model] = attachment, codec
    return codec


def fingerprint(model: Autoencoder) -> bytes:
    """First bytes of the SHA-256 over every tensor of the network and of its codec tables, by stored name.

    For each tensor, ordered by name: the name, a zero byte, dtype and shape as text, a zero byte, its bytes.
    """
    import torch

    tensors = stored_names.stored_tensors(model.state_dict())
    attachment = model.attachments.get(ATTACHMENT)
    if attachment is not None:
        prefix = f"{stored_names.ATTACHED}.{ATTACHMENT}."
        tables = stored_names.stored_tensors({prefix + k: t for k, t in attachment.tensors.items()})
        # The attachment's own stored name and a slash, whatever it is called today.
        tensors |= {name.partition(".")[2].replace(".", "/", 1): t for name, t in tables.items()}
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        kind = str(tensor.dtype).removeprefix("torch.")
        digest.update(f"{name}\0{kind} {list(tensor.shape)}\0".encode())
        flat = tensor.reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return digest.digest()[:FINGERPRINT_BYTES]
