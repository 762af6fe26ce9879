"""The names in files, and what the code calls them today.

Names of tensors and attachments, keys and values of recipes, of summaries, options, the state of a training,
a search index and a direction are a format: files keep the names that version 0.1 gave them. A name that
changes in the code gets an entry here (stored name → current name). Every reader and writer of such a file
goes through these functions, and so do the hashes that identify a codec and a model; a file or a fingerprint
of version 0.1 therefore stays valid. Without an entry a name is the same in both.

`tests/compatibility/` holds files of version 0.1 and the list of their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from isthmus.model.first_settings import FIRST_KINDS, FIRST_SETTINGS
from isthmus.model.renames import Document, PathRenames, Renames

ATTACHED = "attached"
READOUT = "readout"
_T = TypeVar("_T")


@dataclass(frozen=True)
class StoredNames:
    """Tables stored → current.

    Attributes:
        recipe: of a recipe (in model files, training states, TOML files).
        options, settled: of the options of a training and of the choices made for it; both are stored in
            summaries and in training states.
        summary: of the rest of a summary. state: of a training's counters.
        resume: of the other facts in a training state.
        tensors: of the network's tensors, as in `state_dict()`.
        resume_tensors: of the other tensors in a training state (`moments.PLAYER.0.exp_avg`, `sums.TERM`).
        attachments: of attachments. facts, attachment_tensors: of their contents, by their stored name.
        index, direction: of the facts in such files.
        classifier: of the tensors of a classifier in whose features images are compared.
    """

    recipe: Renames = field(default_factory=lambda: Renames(default_kinds=FIRST_KINDS))
    options: Renames = field(default_factory=Renames)
    settled: Renames = field(default_factory=Renames)
    summary: Renames = field(default_factory=Renames)
    state: Renames = field(default_factory=Renames)
    resume: Renames = field(default_factory=Renames)
    tensors: PathRenames = field(default_factory=PathRenames)
    resume_tensors: PathRenames = field(default_factory=PathRenames)
    attachments: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Renames] = field(default_factory=dict)
    attachment_tensors: Mapping[str, PathRenames] = field(default_factory=dict)
    index: Renames = field(default_factory=Renames)
    direction: Renames = field(default_factory=Renames)
    classifier: PathRenames = field(default_factory=PathRenames)


NAMES = StoredNames()  # no name has changed since version 0.1


# ---------------------------------------------------------------- recipes


def current_recipe(recipe: Mapping[str, Any]) -> Document:
    """A recipe of a file under current names; it may hold only some of the keys.

    Raises:
        ValueError: a key stands there under both names.
    """
    tables = {
        key: {"kind": value} if isinstance(value, str) and key in FIRST_KINDS else value
        for key, value in recipe.items()
    }
    return NAMES.recipe.current(tables)


def stored_recipe(recipe: Mapping[str, Any]) -> Document:
    """The inverse: `Recipe.to_dict()` as files hold it."""
    return NAMES.recipe.stored(recipe)


def hashed_recipe(recipe: Mapping[str, Any], defaults: Mapping[str, Mapping[str, Any]]) -> Document:
    """A recipe as version 0.1 would have written it, to be hashed.

    The keys of 0.1 stand first, in its order; one that no longer exists has its default of 0.1. Of the newer
    ones only those stand there that differ from their default.

    Args:
        recipe: `Recipe.to_dict()`.
        defaults: the same of each axis, with the default of each setting of its kind.
    """
    stored, unset = stored_recipe(recipe), stored_recipe(defaults)
    result: Document = {key: stored[key] for key in ("name", "code")}
    for axis in (*FIRST_SETTINGS, *sorted(set(stored) - {"name", "code", *FIRST_SETTINGS})):
        point = dict(stored.get(axis, {}))
        kind = point.pop("kind", FIRST_KINDS.get(axis, ""))
        first = FIRST_SETTINGS.get(axis, {}).get(kind, {})
        usual = unset.get(axis, {})
        newer = {k: v for k, v in sorted(point.items()) if k not in first and v != usual.get(k)}
        values = {name: point.get(name, default) for name, default in first.items()}
        is_new_and_default = axis not in FIRST_SETTINGS and not newer and kind == usual.get("kind", "")
        if not is_new_and_default:
            result[axis] = {**({"kind": kind} if kind else {}), **values, **newer}
    return result


# ---------------------------------------------------------------- model files


def current_header(header: Mapping[str, Any]) -> Document:
    """The header of a model file under current names.

    Raises:
        ValueError, AttributeError, TypeError: it is not what a model file holds.
    """
    names = NAMES
    result = dict(header)
    if "recipe" in header:
        result["recipe"] = current_recipe(header["recipe"])
    if "summary" in header:
        result["summary"] = _in_parts(names.summary.current(header["summary"]), "current")
    if "attachments" in header:
        result["attachments"] = {
            names.attachments.get(name, name): _facts_names(name).current(facts)
            for name, facts in header["attachments"].items()
        }
    return result


def stored_header(header: Mapping[str, Any]) -> Document:
    """The inverse of `current_header`."""
    result = dict(header)
    if "recipe" in header:
        result["recipe"] = stored_recipe(header["recipe"])
    if "summary" in header:
        result["summary"] = NAMES.summary.stored(_in_parts(header["summary"], "stored"))
    if "attachments" in header:
        result["attachments"] = {
            _stored_attachment(name): _facts_names(name).stored(facts)
            for name, facts in header["attachments"].items()
        }
    return result


def current_tensor(name: str) -> str:
    """The current name of a tensor of a model file, `attached.NAME.TENSOR` or one of the network."""
    head, _, rest = name.partition(".")
    if head != ATTACHED:
        return NAMES.tensors.current(name)
    attachment, _, tensor = rest.partition(".")
    current = NAMES.attachments.get(attachment, attachment)
    return f"{ATTACHED}.{current}.{_attachment_tensors(attachment).current(tensor)}"


def stored_tensor(name: str) -> str:
    """The inverse of `current_tensor`."""
    head, _, rest = name.partition(".")
    if head != ATTACHED:
        return NAMES.tensors.stored(name)
    attachment, _, tensor = rest.partition(".")
    stored = _stored_attachment(attachment)
    return f"{ATTACHED}.{stored}.{_attachment_tensors(attachment).stored(tensor)}"


def current_tensors(tensors: Mapping[str, _T]) -> dict[str, _T]:
    """`current_tensor` of each key."""
    return {current_tensor(name): tensor for name, tensor in tensors.items()}


def stored_tensors(tensors: Mapping[str, _T]) -> dict[str, _T]:
    """`stored_tensor` of each key."""
    return {stored_tensor(name): tensor for name, tensor in tensors.items()}


def _in_parts(summary: Mapping[str, Any], direction: str) -> Document:
    """A summary with the options and settled choices in it translated."""
    result = dict(summary)
    for key, names in (("options", NAMES.options), ("settled", NAMES.settled)):
        if isinstance(result.get(key), dict):
            result[key] = getattr(names, direction)(result[key])
    return result


def _stored_attachment(name: str) -> str:
    return next((stored for stored, current in NAMES.attachments.items() if current == name), name)


def _facts_names(attachment: str) -> Renames:
    return NAMES.facts.get(_stored_attachment(attachment), Renames())


def _attachment_tensors(attachment: str) -> PathRenames:
    return NAMES.attachment_tensors.get(_stored_attachment(attachment), PathRenames())


# ---------------------------------------------------------------- training states


def current_resume(facts: Mapping[str, Any]) -> Document:
    """The facts of a training state under current names.

    Raises:
        ValueError, AttributeError, TypeError: they are not those of a training state.
    """
    result = NAMES.resume.current(facts)
    if isinstance(result.get("recipe"), dict):
        result["recipe"] = current_recipe(result["recipe"])
    if isinstance(result.get("state"), dict):
        result["state"] = NAMES.state.current(result["state"])
    return _in_parts(result, "current")


def stored_resume(facts: Mapping[str, Any]) -> Document:
    """The inverse of `current_resume`."""
    result = _in_parts(facts, "stored")
    if isinstance(result.get("recipe"), dict):
        result["recipe"] = stored_recipe(result["recipe"])
    if isinstance(result.get("state"), dict):
        result["state"] = NAMES.state.stored(result["state"])
    return NAMES.resume.stored(result)


_OF_THE_NETWORK = ("model", "average", "best")


def current_resume_tensor(name: str) -> str:
    """The current name of a tensor of a training state, such as `model.encoder.…` or `moments.critic.…`."""
    part, _, rest = name.partition(".")
    if part in _OF_THE_NETWORK:
        name = f"{part}.{NAMES.tensors.current(rest)}"
    return NAMES.resume_tensors.current(name)


def stored_resume_tensor(name: str) -> str:
    """The inverse of `current_resume_tensor`."""
    name = NAMES.resume_tensors.stored(name)
    part, _, rest = name.partition(".")
    return f"{part}.{NAMES.tensors.stored(rest)}" if part in _OF_THE_NETWORK else name


# ---------------------------------------------------------------- search indexes, directions


def current_index(facts: Mapping[str, Any]) -> Document:
    """The facts of a search index, with the readout in it, under current names."""
    result = NAMES.index.current(facts)
    if isinstance(result.get("reading"), dict):
        result["reading"] = _facts_names(READOUT).current(result["reading"])
    return result


def stored_index(facts: Mapping[str, Any]) -> Document:
    """The inverse of `current_index`."""
    result = dict(facts)
    if isinstance(result.get("reading"), dict):
        result["reading"] = _facts_names(READOUT).stored(result["reading"])
    return NAMES.index.stored(result)


def current_index_tensor(name: str) -> str:
    """The current name of a tensor of a search index; `readout.TENSOR` are those of the attachment."""
    part, _, rest = name.partition(".")
    return f"{part}.{_attachment_tensors(READOUT).current(rest)}" if part == READOUT else name


def stored_index_tensor(name: str) -> str:
    """The inverse of `current_index_tensor`."""
    part, _, rest = name.partition(".")
    return f"{part}.{_attachment_tensors(READOUT).stored(rest)}" if part == READOUT else name


def current_direction(facts: Mapping[str, Any]) -> Document:
    """The facts of a direction under current names."""
    return NAMES.direction.current(facts)


def stored_direction(facts: Mapping[str, Any]) -> Document:
    """The inverse of `current_direction`."""
    return NAMES.direction.stored(facts)
