"""From images to a model file: start or resume a training, save its state, write the model.

start_training or resume_training -> Trainer.fit -> model with its summary -> file
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from isthmus.errors import Hint, OutputError, ProcessError, Stopped, UsageError
from isthmus.images.shards import inventory_of
from isthmus.locks import exclusive
from isthmus.log import log_note
from isthmus.messages import describe_messages
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.initialisation import recipe_of_start
from isthmus.model.loading import ModelLike
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import resolve_recipe
from isthmus.outputs import check_output, path_exists
from isthmus.training import state as checkpoints
from isthmus.training.budget import Clock, monotonic
from isthmus.training.callbacks import check_callbacks, stop_on_signal
from isthmus.training.config import TrainConfig
from isthmus.training.data import TrainingData
from isthmus.training.diagnosis.diagnose import findings
from isthmus.training.diagnosis.finding import Finding
from isthmus.training.diagnosis.observed import FEW, observe
from isthmus.training.distributed import LostError, ProcessGroup, join_processes
from isthmus.training.losses import DivergedError
from isthmus.training.players import AutoencoderLearner
from isthmus.training.process_settings import training_settings
from isthmus.training.resume import Request, TrainRecord
from isthmus.training.trainer import Trainer
from isthmus.training.trainer_setup import NO_OBSERVERS, Observers, resume_training, start_training
from isthmus.version import __version__


@training_settings()
def train_model(
    data: Any,
    config: TrainConfig,
    *,
    recipe: str | Recipe | None = None,
    code: str | None = None,
    settings: Iterable[str] | Mapping[str, Any] = (),
    val: Any = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    force: bool = False,
    start_from: ModelLike | None = None,
    observers: Observers = NO_OBSERVERS,
    clock: Clock = monotonic,
    began: float | None = None,
) -> Autoencoder:
    """Train an autoencoder on images; see `isthmus.train`, which adds what follows a training.

    Args:
        clock: what all durations are read from, in seconds.
        began: the reading of `clock` at which a length in minutes begins; by default that of the call.

    Returns:
        The model with the weights of the lowest validation loss (the last ones where there is a critic);
        after an interrupt without `out` the best so far, and `summary["complete"]` is False.

    Raises:
        IsthmusError: one line each, see `isthmus.errors`.
        ProcessError: another of the processes that train together failed or is gone.
        Stopped: interrupted with `out` given; the state is saved and `resume=True` continues it.
    """
    began = clock() if began is None else began
    check_callbacks(observers.callbacks)
    with contextlib.ExitStack() as lock, join_processes() as group:
        with group.lockstep():
            chosen = None
            if not resume:  # report a misspelt setting before anything else
                first = recipe_of_start(start_from) if recipe is None else recipe
                chosen = resolve_recipe(first, code, settings)
            if out is not None and group.is_first:
                _claim_output(out, lock, resume=resume, force=force)
            around: dict[str, Any] = {"group": group, "observers": observers, "clock": clock}
            if chosen is None:
                request = Request(config, recipe, code, settings)
                trainer, record = resume_training(data, val, _resumed_path(out), request, **around)
            else:
                trainer, record = start_training(
                    data, config, recipe=chosen, val=val, start_from=start_from, **around
                )
        if group.is_first and observers.on_ready is not None:
            observers.on_ready(trainer)
        if not resume and trainer.budget is not None:
            trainer.budget.add_preparation(clock() - began)
        ended = _fit(trainer, record, out, group, is_new=not resume)
        if not ended and out is not None:
            path = str(checkpoints.resume_path(out))
            raise Stopped(trainer.state.step, trainer.schedule.steps, path)
        return _finish(trainer, record, out, observers, group, complete=ended)


# ------------------------------------------------------------ files


def _resumed_path(out: str | os.PathLike[str] | None) -> Path:
    if out is None:
        raise UsageError(
            "resume needs the model's path",
            id="training.resume-without-path",
            hint=Hint.call("train", "DATA", out="MODEL", resume=True),
        )
    return Path(out)


def _claim_output(
    out: str | os.PathLike[str], lock: contextlib.ExitStack, *, resume: bool, force: bool
) -> None:
    """Refuse an output that exists, or that another process is training."""
    # The state is next to the model, and the model is written twice: a device or pipe will not do.
    check_output(out, force=force or resume, stream=False)
    if not force and not resume and path_exists(checkpoints.resume_path(out)):
        with exclusive(out):  # a running training has an error of its own
            pass
        raise OutputError(
            "there is an unfinished training of {out}: resume it, or start again with force",
            id="training.unfinished",
            hint=Hint.add(resume=True),
            out=out,
        )
    lock.enter_context(exclusive(out))


def _fit(
    trainer: Trainer,
    record: TrainRecord,
    out: str | os.PathLike[str] | None,
    group: ProcessGroup,
    *,
    is_new: bool,
) -> bool:
    """Train to the end or to an interrupt, with the state next to the model in `out`. True at the end."""
    state_file = checkpoints.resume_path(out) if out is not None and group.is_first else None

    def save() -> None:
        if state_file is not None:
            save_state(state_file, trainer, record)

    with stop_on_signal() as should_stop, _report_lost_once(trainer, record, out, group):
        if is_new:
            # Find out now, not after the training, whether the path can be written.
            with group.lockstep():
                save()
        try:
            return trainer.fit(should_stop=should_stop, save=save)
        except DivergedError:
            _remove(state_file)  # a resumed training would diverge again
            raise


def save_state(path: Path, trainer: Trainer, record: TrainRecord) -> None:
    """Write everything that a resumed training needs.

    Raises:
        OutputError: the disk is full or the folder not writable; the former state stays.
    """
    state = trainer.state_dict()
    checkpoints.save(
        path, checkpoints.Checkpoint({**record.to_dict(trainer.plan), **state.facts}, state.tensors)
    )


def _finish(
    trainer: Trainer,
    record: TrainRecord,
    out: str | os.PathLike[str] | None,
    observers: Observers,
    group: ProcessGroup,
    *,
    complete: bool,
) -> Autoencoder:
    """The trained model with its summary, what is fitted to it, and its file."""
    trainer.finish()
    assert isinstance(trainer.learner, AutoencoderLearner)
    # As in a loaded model: kernels may differ in the last digit if weights require gradients.
    model = trainer.learner.model.to("cpu").requires_grad_(False)
    model.precision = torch.float32
    model.summary = summarise(trainer, record, complete=complete)
    if not complete and group.is_first:
        log_note(
            "interrupted after step {step} of {steps}: the model has the {kept} weights so far",
            id="training.interrupted",
            step=trainer.state.step,
            steps=trainer.schedule.steps,
            kept=model.summary["kept"],
        )
    results: tuple[Finding, ...] = ()
    if not trainer.strategy.is_private:
        data = trainer.data
        examined = data.held_out if data.held_out is not None and len(data.held_out) >= FEW else data.train
        results = findings(trainer.state.history, model.recipe, trainer.schedule, observe(model, examined))
        model.summary["findings"] = [finding.to_dict() for finding in results]
    if not group.is_first:  # what follows a training is done once, by the process that writes the model
        return model
    if out is not None:
        model.save(out)
    if observers.finish is not None:
        observers.finish(model, trainer.data.train)
        if out is not None:
            model.save(out)
    if out is not None:
        _remove(checkpoints.resume_path(out))
    last = trainer.state.history[-1] if trainer.state.history else {}
    losses = {k.removeprefix("train_"): v for k, v in last.items() if k.startswith("train_")}
    trainer.emit("on_end", losses, results)
    return model


def _remove(state_file: Path | None) -> None:
    if state_file is not None:
        with contextlib.suppress(OSError):
            state_file.unlink(missing_ok=True)


@contextlib.contextmanager
def _report_lost_once(
    trainer: Trainer, record: TrainRecord, out: str | os.PathLike[str] | None, group: ProcessGroup
) -> Iterator[None]:
    """When several processes end because one was lost, one of them saves the state and reports it."""
    try:
        yield
    except LostError:
        if not group.is_first_to_report():
            raise SystemExit(1) from None
        step, where = trainer.state.step, ""
        if out is not None:
            path = checkpoints.resume_path(out)
            if trainer.is_between_steps:
                save_state(path, trainer, record)
            where = f"; the state is saved in {path}: the same call with resume goes on"
        raise ProcessError(
            "one of {count} processes was lost after step {step} of {steps}{where}",
            id="process.lost",
            count=group.count,
            step=step,
            steps=trainer.schedule.steps,
            where=where,
        ) from None
    except DivergedError:
        if not group.is_first:
            raise SystemExit(1) from None
        raise
    except BaseException:
        if group.count > 1:
            group.is_first_to_report()  # this process reports its own error; the others stay silent
        raise


def summarise(trainer: Trainer, record: TrainRecord, *, complete: bool = True) -> dict[str, Any]:
    """The summary as JSON values, under the names that files hold; the doctor's findings are still missing.

    Args:
        complete: whether the training came to its end; it may have been interrupted.
    """
    state, plan, data = trainer.state, trainer.plan, trainer.data
    is_private = plan.privacy is not None
    parts = [data.train, *([] if data.held_out is None else [data.held_out])]
    notes = list(dict.fromkeys(note for part in parts for note in part.notes))
    left_out = dict.fromkeys((entry.name, entry.reason) for part in parts for entry in part.skipped)
    skipped = [] if is_private else [list(pair) for pair in left_out]
    best = None
    if state.best_loss is not None:
        best = {"step": state.best_step, "validation": state.best_loss}
    return {
        "version": __version__,
        "torch": torch.__version__,
        "data": {
            "source": data.train.source,
            # With a hash of private images, a guess of them could be verified.
            "fingerprint": None if is_private else record.fingerprint,
            "images": len(data.train),
            "held_out": 0 if data.held_out is None else len(data.held_out),
            "classes": list(data.train.classes),
            "inventory": _describe_inventory(data, is_private=is_private),
            **({"target": data.train.target_source} if data.train.target_channels else {}),
            "notes": notes,
            # The names of private files are private, too.
            "skipped": skipped,
            "messages": describe_messages([*notes, *(reason for _, reason in skipped)]),
        },
        "options": record.config.to_dict(),
        "settled": plan.to_dict(),
        "threads": record.threads,
        "steps": state.step,
        "seconds": round(state.seconds, 2),
        "images_per_second": round(state.step * plan.batch / max(state.seconds, 1e-9), 1),
        "ended_early": state.ended_early,
        "complete": complete,
        "kept": "last" if trainer.keeps_last or best is None else "best",
        "best": best,
        "history": state.history,
        "knots": trainer.schedule.to_json(),
        "paused": 0.0 if trainer.budget is None else round(trainer.budget.paused, 2),
        "findings": [],
        "privacy": None if plan.privacy is None else plan.privacy.describe(state.step),
    }


def _describe_inventory(data: TrainingData, *, is_private: bool) -> dict[str, Any] | None:
    """The inventory by which a listing can identify the training images; None where it is not known."""
    images, held_out = data.train, data.held_out
    source = Path(images.source)
    is_listed = source.is_dir() or source.suffix.lower() == ".tar"
    if not is_listed or is_private:
        return None
    if data.inventory is not None:
        return data.inventory.to_dict()
    own = [images] if held_out is None or held_out.source != images.source else [images, held_out]
    return inventory_of(own).to_dict()
