"""The codec's self-test: does this installation make the stored bytes of the symbols stored with the tables?

It takes a third of the time of compressing a photo. So a pass is recorded in the cache folder, as a hash of
everything that the result depends on. Without a readable record the test runs again; a failure is never
recorded.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
from pathlib import Path

import constriction
import numpy as np
import torch

from isthmus.atomic import write_text
from isthmus.codec import coder, container, context_model, symbol_model, symbols, tables, tile_layout
from isthmus.codec.container import CompressedFileError
from isthmus.codec.symbols import decode_symbols, encode_symbols
from isthmus.codec.tables import Tables
from isthmus.errors import IsthmusError, ModelFileError
from isthmus.images.cache import cache_folder
from isthmus.model.attachment_check import DAMAGE
from isthmus.model.autoencoder import Attachment
from isthmus.outputs import check_output
from isthmus.version import __version__

RECORD = "codec-self-tests.txt"  # in the cache folder: one hash a line, the newest last
MAX_RECORDS = 256
_HASH_LENGTH = 64  # hexadecimal digits of SHA-256
_TESTED_CODE = (coder, container, context_model, symbol_model, symbols, tables, tile_layout)


def ensure_self_test(attachment: Attachment, read: Tables) -> None:
    """Run the self-test of tables that were `read` from `attachment`, unless it has passed here before.

    Raises:
        ModelFileError: as `run_self_test`.
    """
    record = _hash_conditions(attachment)
    if record in _read_records():
        return
    run_self_test(read)
    _add_record(record)


def run_self_test(read: Tables) -> None:
    """Code the symbols that are stored with the tables, and compare with the stored bytes.

    Raises:
        ModelFileError: other bytes, or other symbols from them: no file may be trusted here.
    """
    band = read.bands[read.proof_band]
    try:
        same = encode_symbols(read.proof_symbols, band) == read.proof_bytes
        decoded = decode_symbols(read.proof_bytes, read.proof_symbols.shape[1:], band)
        passed = same and np.array_equal(decoded, read.proof_symbols)
    except (CompressedFileError, *DAMAGE):
        passed = False
    if not passed:
        raise ModelFileError(
            "the model's codec tables fail their own test here: they are damaged, "
            "or this machine calculates wrongly",
            id="codec.self-test",
        )


def _hash_conditions(attachment: Attachment) -> str:
    """SHA-256 of the tables, of the code and libraries that use them, and of what this processor is."""
    digest = hashlib.sha256()
    conditions = {
        "facts": attachment.facts,
        "isthmus": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "constriction": _describe_file(constriction.constriction.__file__),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }
    digest.update(json.dumps(conditions, sort_keys=True).encode())
    for name, tensor in sorted(attachment.tensors.items()):
        data = tensor.detach().cpu().contiguous().numpy().tobytes()
        digest.update(f"\0{name}\0{tensor.dtype} {list(tensor.shape)}\0{len(data)}\0".encode())
        digest.update(data)
    for module in _TESTED_CODE:
        try:
            source = Path(module.__file__ or "").read_bytes()
        except OSError:
            source = b""  # installed without sources: the version stands for them
        digest.update(f"\0{module.__name__}\0{len(source)}\0".encode())
        digest.update(source)
    return digest.hexdigest()


def _describe_file(path: str) -> list[int]:
    # constriction has no version that can be read without searching the installed packages.
    try:
        status = Path(path).stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _read_records() -> list[str]:
    """The hashes recorded, oldest first; anything else in the file is left out."""
    try:
        path = cache_folder() / RECORD
        if not path.is_file():  # reading a pipe would wait for ever
            return []
        with path.open("rb") as stream:
            data = stream.read(MAX_RECORDS * (_HASH_LENGTH + 1))
    except (OSError, RuntimeError, ValueError):  # expanding "~" without a home is a RuntimeError
        return []
    return [line for line in data.decode("ascii", "replace").splitlines() if len(line) == _HASH_LENGTH]


def _add_record(record: str) -> None:
    """Replace the file in one step: of two processes at once one may lose its record, and tests again."""
    lines = [*_read_records(), record][-MAX_RECORDS:]
    with contextlib.suppress(IsthmusError, OSError, RuntimeError, ValueError):
        path = cache_folder() / RECORD
        check_output(path, force=True, stream=False)  # writing to a pipe would wait for ever
        write_text(path, "".join(f"{line}\n" for line in lines))
