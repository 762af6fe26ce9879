"""Results of a training."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from isthmus.api.inputs import ModelLike, describe_model, load_model
from isthmus.api.result import Result, keys
from isthmus.errors import UsageError
from isthmus.log import SkippedInput
from isthmus.messages import restore_message
from isthmus.progress import duration
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.training.diagnosis.finding import Finding


@dataclass(frozen=True, kw_only=True, repr=False)
class TrainingResult(Result):
    """How a model was trained, as stored in its file.

    Attributes:
        model: path of the model file, where it has one.
        recipe: name of the recipe.
        code: shape of the code, such as `64` or `32@8`.
        parameters: trained numbers, all parts together.
        images: number of images trained on.
        held_out: number of images held out for validation.
        batch: images in a step.
        precision: `float32` or `bfloat16`.
        seed: of the weights and everything random.
        steps: steps that were taken.
        seconds: their time.
        images_per_second: their pace.
        ended_early: whether patience ran out before the last step.
        kept: which weights are in the model: `best` or `last`.
        best: `step` and `validation` of the lowest validation loss, or null.
        findings: what the training doctor noticed, worst first.
        privacy: of a private training, `epsilon` and `delta` spent with `asked`, `noise`, `clip`, `rate`,
            `steps`, `unit`, `sampling`, `accountant` and `seed`; else null.
        history: losses at each validation: `step`, `train_…`, `validation`.
    """

    schema: ClassVar[str] = "isthmus.train/1"
    document: ClassVar = keys(
        "model recipe code parameters images held_out batch precision seed",
        "steps seconds images_per_second ended_early kept best findings privacy",
    )

    model: str | None
    recipe: str
    code: str
    parameters: int
    images: int
    held_out: int
    batch: int
    precision: str
    seed: int
    steps: int
    seconds: float
    images_per_second: float
    ended_early: bool
    kept: Literal["best", "last"]
    best: Mapping[str, float] | None
    findings: tuple[Finding, ...]
    privacy: Mapping[str, Any] | None
    history: tuple[Mapping[str, float], ...]

    def table(self, rows: int | None = None) -> str:  # noqa: ARG002
        """The training in a few lines."""
        early = ", interrupted" if not self.complete else ", ended early" if self.ended_early else ""
        lines = [
            f"{format_count(self.steps, 'step')} in {duration(self.seconds)} "
            f"({self.images_per_second:,.0f} images/s){early}"
        ]
        if self.best is not None:
            lines.append(
                f"validation {self.best['validation']:.5g} at step {self.best['step']:,} "
                f"({self.kept} weights kept)"
            )
        if self.privacy is not None:
            lines.append(
                f"private: ε {self.privacy['epsilon']:.4g} at δ {self.privacy['delta']:.3g} spent on any one "
                f"image (noise {self.privacy['noise']:.4g}, clip norm {self.privacy['clip']:g})"
            )
        return "\n".join(lines)

    def summary(self) -> str:
        return "" if self.model is None else f"model: {self.model}"


def describe_training(model: ModelLike) -> TrainingResult:
    """How a model was trained, as stored in its file.

    Raises:
        ModelFileError: see `isthmus.load`.
        UsageError: the model was not trained by `train`.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((32, 16, 16, 1), dtype=np.float32)
        >>> isthmus.train(images, recipe="dense", code="8", steps=2, out="model.safetensors").recipe.code
        '8'
        >>> isthmus.describe_training("model.safetensors").batch
        29
    """
    network = load_model(model)
    summary = network.summary
    if "steps" not in summary or "images" not in (summary.get("data") or {}):
        raise UsageError("this model's file has no record of its training", id="model.no-training")
    from isthmus.training.diagnosis.finding import recorded

    data, settled = summary["data"], summary["settled"]
    return TrainingResult(
        model=describe_model(model, network) if isinstance(model, (str, os.PathLike)) else None,
        recipe=network.recipe.name,
        code=network.recipe.code,
        parameters=sum(p.numel() for p in network.parameters()),
        images=data["images"],
        held_out=data["held_out"],
        batch=settled["batch"],
        precision=settled["precision"],
        seed=settled["seed"],
        steps=summary["steps"],
        seconds=summary["seconds"],
        images_per_second=summary["images_per_second"],
        ended_early=summary["ended_early"],
        complete=summary.get("complete", True),
        kept=summary["kept"],
        best=summary["best"],
        findings=recorded(summary),
        privacy=summary.get("privacy"),
        history=tuple(summary["history"]),
        notes=(
            *(restore_message(note, data.get("messages")) for note in data.get("notes") or ()),
            *(restore_message(note, settled.get("messages")) for note in settled["notes"]),
        ),
        skipped=tuple(
            SkippedInput(name, restore_message(reason, data.get("messages")))
            for name, reason in data.get("skipped") or ()
        ),
    )
