"""Log a training while it runs: its choices, its steps, early findings."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from isthmus.images.reading_notes import report_reading
from isthmus.log import LOGGER, log_note
from isthmus.messages import as_message
from isthmus.progress import Progress, Task, start_task
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.model.recipe import Recipe
    from isthmus.training.callbacks import Progress as Step
    from isthmus.training.trainer import Trainer


class TrainingWatcher:
    """Shows a training: its choices in the log, its steps as progress, early findings as warnings."""

    def __init__(self, stack: ExitStack, progress: Progress | None, *, resumed: bool) -> None:
        self._stack, self._progress, self._resumed = stack, progress, resumed
        self._task: Task | None = None

    def on_ready(self, trainer: Trainer) -> None:
        if self._resumed:
            log_note(
                "continuing with the recipe and length of the unfinished training", id="training.resumed"
            )
        log_choices(trainer)

    def on_step(self, step: Step) -> None:
        for finding in step.findings:
            LOGGER.warning("so far, %s", finding)
        if self._task is None:  # only now is it known how far an earlier run had come
            task = start_task(self._progress, "training", 1.0, start=step.share)
            self._task = self._stack.enter_context(task)
        self._task.update(step.share, describe_step(step))


def log_choices(trainer: Trainer) -> None:
    images, held_out = trainer.data.train, trainer.data.held_out
    model = trainer.learner.module
    recipe: Recipe = model.recipe  # type: ignore[assignment]
    kinds = {1: "gray", 3: "colour"}
    kind, target_kind = (
        kinds.get(n, f"{n}-channel") for n in (images.input_channels, images.target_channels)
    )
    what = f"pair of {kind} and {target_kind} images" if images.target_channels else f"{kind} image"
    log_note(
        "{source}: {images} of {size} to train on{held_out}",
        id="training.images",
        source=images.source,
        images=f"{len(images):,} pairs{what.removeprefix('pair')}"
        if images.target_channels and len(images) != 1
        else format_count(len(images), what),
        size="mixed sizes" if images.shape is None else f"{images.shape[0]}×{images.shape[1]}",
        held_out="" if held_out is None else f", {len(held_out):,} to validate on",
    )
    report_reading(images)
    if held_out is not None:  # read from `val`, or another part of the same set
        report_reading(held_out)
    log_note(
        "recipe {recipe}, code {code}, {parameters}",
        id="training.recipe",
        recipe=recipe.name,
        code=recipe.code,
        parameters=format_count(sum(p.numel() for p in model.parameters()), "parameter"),
    )
    for note in trainer.plan.notes:
        log_note(as_message(note, id="choice.note"))


def describe_step(step: Step) -> str:
    """Pace and losses in a few words."""
    loss = next((step.losses[name] for name in ("autoencoder", "encoder") if name in step.losses), None)
    parts = [f"{step.images_per_second:,.0f} images/s"]
    if loss is not None:
        parts.append(f"loss {loss:.5g}")
    if step.validation is not None:
        parts.append(f"validation {step.validation:.5g}")
    return "  ".join(parts)
