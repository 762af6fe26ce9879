"""Share a model: a folder, or a repository of a model hub, that holds the model file and a card.

Both look alike: `model.safetensors` and `README.md`. A place is a folder when it is written as a path
(`./name`, `name/`, an absolute path, or one that exists) and otherwise a repository `OWNER/NAME` of the
Hugging Face hub, for which the extra `hub` is needed. A pulled file is checked like any model file.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from isthmus.atomic import write_bytes, write_text
from isthmus.errors import IsthmusError, MissingExtraError, ModelFileError, UsageError
from isthmus.escaping import for_markdown, for_terminal
from isthmus.input_files import parse_json
from isthmus.model import stored_names
from isthmus.model.file import KEY, read_file, read_header, read_model, write_model
from isthmus.outputs import check_folder, check_output
from isthmus.outputs import is_folder as is_existing_folder

MODEL_FILE = "model.safetensors"
CARD = "README.md"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*")


class HubError(IsthmusError):
    """The hub cannot be reached, or refuses."""


@dataclass(frozen=True)
class SharedFile:
    """A model file at another place.

    Attributes:
        url: a folder's path or a repository's address.
        bytes: size of the model file.
    """

    url: str
    bytes: int


def push_model(
    path: str | os.PathLike[str],
    place: str,
    *,
    private: bool = False,
    message: str = "",
    force: bool = False,
) -> SharedFile:
    """Write a model file and its card to a folder or a hub repository.

    The copy names its training data without the path that it had on this machine.

    Args:
        path: a model file.
        place: a folder, or `OWNER/NAME`.
        private: a new repository is not public.
        message: of the commit, for a repository.
        force: replace a model in a folder. A repository keeps its history anyway.

    Raises:
        ModelFileError: not a model.
        UsageError: no such kind of place.
        OutputError: the folder holds a model, or cannot be written.
        MissingExtraError: a hub is meant, and `huggingface_hub` is not installed.
        HubError: the hub cannot be reached, or refuses.
    """
    read_model(path)  # a damaged file is not shared
    if is_folder(place):
        folder = check_folder(place)
        check_output(folder / MODEL_FILE, force=force, stream=False)
        _write(path, folder, place)
        return SharedFile(str(folder), (folder / MODEL_FILE).stat().st_size)
    hub = _hub(place)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _write(path, folder, place)
        size = (folder / MODEL_FILE).stat().st_size
        try:
            api = hub.HfApi()
            api.create_repo(place, private=private or None, exist_ok=True)
            commit = api.upload_folder(
                repo_id=place, folder_path=folder, commit_message=message or "An isthmus model"
            )
        except Exception as error:  # errors of the client and of the network
            raise HubError(
                "{place} was not pushed: {reason}",
                id="hub.not-pushed",
                hint="hf auth login",
                place=place,
                reason=_first_line(error),
            ) from error
    return SharedFile(str(commit.commit_url), size)


def pull_model(
    place: str, out: str | os.PathLike[str], *, revision: str | None = None, force: bool = False
) -> SharedFile:
    """Fetch a model to the file `out`.

    Args:
        place: a folder, or `OWNER/NAME`.
        revision: a branch, tag or commit of a repository.

    Raises:
        ModelFileError: the file there is not a model. Otherwise as `push_model`.
    """
    check_output(out, force=force)
    if is_folder(place):
        source, url = Path(place) / MODEL_FILE, str(place)
    else:
        hub = _hub(place)
        try:
            source = Path(hub.hf_hub_download(place, MODEL_FILE, revision=revision))
        except Exception as error:
            raise HubError(
                "{place} was not pulled: {reason}",
                id="hub.not-pulled",
                place=place,
                reason=_first_line(error),
            ) from error
        url = f"{place}/{MODEL_FILE}"
    if not source.is_file():
        raise ModelFileError("{place} holds no {file}", id="hub.no-model", place=place, file=MODEL_FILE)
    read_model(source)
    write_bytes(out, source.read_bytes(), force=force)
    return SharedFile(url, Path(out).stat().st_size)


def is_folder(place: str) -> bool:
    """Whether `place` is written as a path."""
    marks = place.startswith((".", "/", "~", os.sep)) or place.endswith(("/", os.sep)) or "\\" in place
    return marks or is_existing_folder(place) or Path(place).is_absolute()


def card(header: dict[str, Any], place: str) -> str:
    """The card: what the model is, what it was trained on, how to use it; Markdown with front matter."""
    recipe, summary = header["recipe"], header["summary"]
    data, best = summary.get("data") or {}, summary.get("best") or {}
    height, width = header["size"]
    kind = {1: "gray", 3: "colour"}.get(header["channels"], f"{header['channels']}-channel")
    name = recipe.get("name", "custom")
    rows = [
        ("recipe", f"{name}, code {recipe.get('code')}"),
        ("images", f"{kind}, {height}×{width}"),
        ("trained on", f"{data.get('images', 'unknown')} images of {_base(data.get('source'))}"),
        ("steps", summary.get("steps")),
        ("validation loss", best.get("validation")),
        ("version", summary.get("version")),
    ]
    table = "\n".join(f"| {key} | {for_markdown(str(value))} |" for key, value in rows if value is not None)
    front = "---\nlibrary_name: isthmus\ntags:\n- autoencoder\n- image-feature-extraction\n---\n"
    return f"""{front}
# An autoencoder of images

| | |
|---|---|
{table}

```sh
isthmus pull {_word(place)} -o model.safetensors
isthmus info model.safetensors
```

The recipe in full:

```json
{_fenced(recipe)}
```
"""


def _fenced(recipe: dict[str, Any]) -> str:
    # A run of backticks in a name would end the block.
    return json.dumps(recipe, indent=1).replace("`", "\\u0060")


def _word(place: str) -> str:
    return for_terminal(shlex.quote(place)).replace("`", "")


def _write(model: str | os.PathLike[str], folder: Path, place: str) -> None:
    header = read_header(model)
    tensors, metadata = read_file(model)
    own = stored_names.current_header(parse_json(metadata[KEY], finite=False))
    data = own.get("summary", {}).get("data")
    if isinstance(data, dict) and "source" in data:
        data["source"] = _base(data["source"])
    write_model(folder / MODEL_FILE, stored_names.current_tensors(tensors), own, metadata, force=True)
    write_text(folder / CARD, card(header, place))


def _base(source: Any) -> str:
    return re.split(r"[/\\]", str(source).rstrip("/\\"))[-1] if source else "unknown"


def _hub(place: str) -> Any:
    if not _REPOSITORY.fullmatch(place):
        raise UsageError(
            "'{place}' is neither a folder (./{folder}) nor a repository OWNER/NAME",
            id="hub.place",
            place=place,
            folder=place.strip("/"),
        )
    if find_spec("huggingface_hub") is None:
        raise MissingExtraError("a model hub", "hub")
    import huggingface_hub

    return huggingface_hub


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
