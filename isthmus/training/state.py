"""The state of a training: its counters and tensors, into a checkpoint and back.

The state of an unfinished training in one safetensors file: tensors, and all else as JSON in its header.

It is written to a temporary name and renamed, so a crash at any moment leaves the last whole state.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.errors import ModelFileError
from isthmus.input_files import parse_json
from isthmus.model import stored_names
from isthmus.model.attachment_check import number, whole_number
from isthmus.model.file import read_file, write_file
from isthmus.outputs import path_exists, shorten_name
from isthmus.training.optimisers import WeightAverage
from isthmus.training.players import Player
from isthmus.training.schedule import Schedule

_MAX_SECONDS = 1e12


@dataclass
class TrainState:
    """Counters of a training; with the tensors they are all there is to resume from.

    Attributes:
        knots: of the schedule, empty before the first step; `budget`: what a training in minutes has used.
            Files of version 0.1 have neither.
    """

    step: int = 0
    best_step: int = 0
    best_loss: float | None = None
    validation: float | None = None
    stale: int = 0
    seconds: float = 0.0
    ended_early: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
    knots: list[list[float]] = field(default_factory=list)
    budget: dict[str, Any] | None = None


def read_state(facts: Mapping[str, Any], steps: int) -> TrainState:
    """The counters that a checkpoint holds, of a training of `steps` steps, or of as many as its knots say.

    Raises:
        LookupError, TypeError, ValueError: they are not counters of such a training.
    """
    if facts.get("knots"):
        steps = Schedule.from_json(facts["knots"]).steps
    for name in ("step", "best_step", "stale"):
        whole_number(facts, name, 0, steps if name == "step" else 10**9)
    number(facts, "seconds", 0, 1e12)
    if not isinstance(facts["history"], list) or not all(isinstance(row, dict) for row in facts["history"]):
        raise ValueError("its history is no list of losses")
    if not all(_is_number(value) for row in facts["history"] for value in row.values()):
        raise ValueError("its history holds something that is no number")
    _check_budget(facts.get("budget"))
    for name in ("best_loss", "validation"):
        if facts[name] is not None and not isinstance(facts[name], (int, float)):
            raise ValueError(f"{name} is no loss")
    return TrainState(**facts)


def read_steps_summed(value: object) -> float:
    """The number of steps in the saved sums of losses.

    Raises:
        ValueError: it is no such number.
    """
    return number({"summed": value}, "summed", 0, 1e12)


def _check_budget(facts: object) -> None:
    if facts is None:
        return
    if not isinstance(facts, Mapping):
        raise ValueError("its budget of time is none")
    for name, value in facts.items():
        if name == "recent":
            right = isinstance(value, list) and all(_is_number(seconds) for seconds in value)
        else:
            low = 0 if name in ("seconds", "used") else -_MAX_SECONDS
            right = name == "validation_seconds" and value is None
            right = right or (_is_number(value) and low <= value <= _MAX_SECONDS)
        if not right:
            raise ValueError(f"{name} of its budget of time is no number, or out of range")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def collect_tensors(
    module: nn.Module,
    average: WeightAverage,
    best: Mapping[str, Tensor],
    sums: Mapping[str, Tensor],
    players: Sequence[Player],
    optimisers: Sequence[torch.optim.Optimizer],
) -> dict[str, Tensor]:
    """Weights, averages, the best weights so far, sums of losses and the optimisers' moments, by name."""
    tensors = {f"model.{k}": v for k, v in module.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.tensors.items()}
    tensors |= {f"best.{k}": v for k, v in best.items()}
    tensors |= {f"sums.{k}": v for k, v in sums.items()}
    for player, optimiser in zip(players, optimisers, strict=True):
        for i, moments in optimiser.state_dict()["state"].items():
            for key, value in moments.items():
                if isinstance(value, Tensor):
                    tensors[f"moments.{player.name}.{i}.{key}"] = value
    return tensors


def select_tensors(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Those of `collect_tensors` that stand under `name`, without it."""
    return {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}


def load_tensors(
    tensors: Mapping[str, Tensor],
    module: nn.Module,
    average: WeightAverage,
    players: Sequence[Player],
    optimisers: Sequence[torch.optim.Optimizer],
) -> None:
    """Weights, averages and moments as `collect_tensors` collected them.

    Raises:
        LookupError, RuntimeError, ValueError: they are not those of this module and these players.
    """
    module.load_state_dict(select_tensors(tensors, "model"))
    with torch.no_grad():
        for name, value in select_tensors(tensors, "average").items():
            average.tensors[name].copy_(value)
    for player, optimiser in zip(players, optimisers, strict=True):
        saved: dict[int, dict[str, Tensor]] = {}
        for name, value in select_tensors(tensors, f"moments.{player.name}").items():
            index, _, key = name.partition(".")
            saved.setdefault(int(index), {})[key] = value
        if saved:
            _restore_moments(optimiser, saved)


def _restore_moments(optimiser: torch.optim.Optimizer, saved: dict[int, dict[str, Tensor]]) -> None:
    # Loaded tensors are dense; the moments of channels-last weights are channels-last, and stay so.
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for index, moments in saved.items():
        parameter = parameters[index]
        for key, value in moments.items():
            same = value.shape == parameter.shape
            like = torch.empty_like(parameter if same else value, device=parameter.device)
            optimiser.state[parameter][key] = like.copy_(value)


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
        raise ModelFileError("{path} is not a saved training", id="training.not-a-state", path=path)
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
