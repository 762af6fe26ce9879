"""`isthmus.train`: from images to a model, in one call."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from isthmus.errors import (
    Hint,
    IsthmusError,
    ModelFileError,
    OutputError,
    ProcessError,
    Stopped,
    UsageError,
    nearest,
)
from isthmus.images.inventory import inventory_of
from isthmus.images.store import ImageSet
from isthmus.locks import exclusive
from isthmus.messages import Message, describe_messages
from isthmus.model.attachment_check import DAMAGE
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.loading import ModelLike
from isthmus.model.recipe import Recipe
from isthmus.outputs import check_output, path_exists
from isthmus.threads import limited
from isthmus.training import checkpoint as checkpoints
from isthmus.training import privacy
from isthmus.training.allocator import kept_memory
from isthmus.training.callbacks import Callback, check_callbacks, emit
from isthmus.training.clock import Clock, monotonic
from isthmus.training.denormals import flushed_denormals
from isthmus.training.diagnosis.diagnose import early_findings, findings
from isthmus.training.diagnosis.finding import Finding
from isthmus.training.diagnosis.observed import FEW, observe
from isthmus.training.distributed import ALONE, LostError, Processes, processes
from isthmus.training.interrupt import stop_on_signal
from isthmus.training.losses import DivergedError
from isthmus.training.options import Options, Settled
from isthmus.training.prepare import (
    Prepared,
    build_model,
    check_same_data,
    prepare,
    read_together,
    settle_recipe,
)
from isthmus.training.progress import Listener
from isthmus.training.run import Run
from isthmus.training.start import begin_with, recipe_from
from isthmus.version import __version__
from isthmus.wording import format_count


@limited()
@flushed_denormals()
@kept_memory()
def train(
    data: Any,
    *,
    recipe: str | Recipe | None = None,
    code: str | None = None,
    settings: Iterable[str] | dict[str, Any] = (),
    val: Any = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    force: bool = False,
    start_from: ModelLike | None = None,
    callbacks: Sequence[Callback] = (),
    listener: Listener | None = None,
    on_ready: Callable[[Prepared], None] | None = None,
    finish: Callable[[Autoencoder, ImageSet], None] | None = None,
    clock: Clock = monotonic,
    began: float | None = None,
    **options: Any,
) -> Autoencoder:
    """Train an autoencoder on images.

    Args:
        data: a folder, a file, a named set, or an array; see `isthmus.read`.
        recipe: a name (`isthmus recipes` lists them) or a `Recipe`; by default that of `start_from`, or
            `conv`.
        code: `"64"` for a vector, `"32@8"` for a grid; the recipe's own otherwise.
        settings: `["bottleneck.weight=1e-3", …]` or a mapping of the same keys.
        val: images to validate on, instead of a held-out part of `data`.
        out: where the model is written. While training runs, its state lies beside it and survives a crash.
        resume: go on with the unfinished training at `out`; of the rest only `data`, `val` and the callbacks
            are read then.
        force: replace a model that is already at `out`.
        start_from: a model file, or a shipped model's name, of the same architecture, whose weights are the
            first ones.
        callbacks: called after steps, after validations and at the end, see
            `isthmus.training.callbacks.Callback`.
        listener: told about progress, see `isthmus.training.progress.Progress`.
        on_ready: called once before the first step, with everything that was chosen.
        finish: called with the trained model and its training images, for what is fitted to a trained model
            and travels in its file.
        clock: what all durations are read from, in seconds.
        began: the reading of `clock` at which a length in minutes begins; by default that of the call.
        options: `epochs`, `minutes` or `steps`, `seed`, `size`, `crop`, `validation`, `patience`, `balance`,
            `turn`, `only`, `cache`, `precision`, `checkpoint_seconds`, `private`, `delta`, `clip_norm`,
            `noise_seed`, `range`; see
            `isthmus.training.options.Options`.

    Returns:
        The model with the weights of the lowest validation loss (the last ones where a critic plays along).

    Raises:
        IsthmusError: one line each, see `isthmus.errors`.
        ProcessError: another of the processes that train together failed or is gone.
        Stopped: interrupted with `out` given; the state is saved and `resume=True` continues it.
    """
    began = clock() if began is None else began
    with contextlib.ExitStack() as lock:
        return _train(
            data,
            recipe=recipe,
            code=code,
            settings=settings,
            val=val,
            out=out,
            resume=resume,
            force=force,
            start_from=start_from,
            callbacks=check_callbacks(callbacks),
            listener=listener,
            on_ready=on_ready,
            finish=finish,
            lock=lock,
            clock=clock,
            began=began,
            options=options,
        )


def _train(
    data: Any,
    *,
    recipe: str | Recipe | None,
    code: str | None,
    settings: Iterable[str] | dict[str, Any],
    val: Any,
    out: str | os.PathLike[str] | None,
    resume: bool,
    force: bool,
    start_from: ModelLike | None,
    callbacks: Sequence[Callback],
    listener: Listener | None,
    on_ready: Callable[[Prepared], None] | None,
    finish: Callable[[Autoencoder, ImageSet], None] | None,
    lock: contextlib.ExitStack,
    clock: Clock,
    began: float,
    options: dict[str, Any],
) -> Autoencoder:
    """`train`, which holds `lock` to its end."""
    with processes() as group:
        if resume:
            if out is None:
                raise UsageError(
                    "resume needs the model's path",
                    id="training.resume-without-path",
                    hint=Hint.call("train", "DATA", out="MODEL", resume=True),
                )
            path = out
            group.together(lambda: _lock_output(path, lock) if group.first else None)
            prepared, run, facts = _resumed(data, val, Path(out), group, clock)
        else:
            asked = group.together(lambda: _options(options))
            first = recipe if recipe is not None else group.together(partial(recipe_from, start_from))
            chosen = group.together(lambda: settle_recipe(first, code, settings))
            if out is not None:
                path = out
                group.together(lambda: _check_free(path, force) if group.first else None)
                group.together(lambda: _lock_output(path, lock) if group.first else None)
            prepared = prepare(data, recipe=chosen, val=val, options=asked, processes=group, clock=clock)
            if start_from is not None:
                group.together(partial(begin_with, prepared.model, start_from))
            run = group.together(lambda: prepared.run(asked, group, clock))
            facts = _facts(prepared, asked)
        state_file = checkpoints.resume_path(out) if out is not None and group.first else None
        if on_ready is not None and group.first:
            on_ready(prepared)
        if not resume and run.budget is not None:
            run.budget.add_preparation(clock() - began)

        def save() -> None:
            if state_file is not None:
                checkpoints.save(state_file, run.checkpoint(facts))

        with stop_on_signal() as should_stop, _lost_said_once(run, facts, out):
            if not resume:
                # A path that cannot be written is better known now than after the training.
                group.together(save)
            try:
                ended = run.fit(
                    listener=listener if group.first else None,
                    callbacks=callbacks if group.first else (),
                    save=save if group.first else None,
                    save_seconds=facts["options"]["checkpoint_seconds"],
                    should_stop=should_stop,
                    examine=lambda history: early_findings(history, prepared.model.recipe, run.schedule),
                )
            except DivergedError:
                _forget(state_file)  # to go on from there would only lead there again
                raise
    if not ended and out is not None:
        raise Stopped(run.state.step, run.schedule.steps, str(checkpoints.resume_path(out)))
    if not ended:
        raise KeyboardInterrupt
    run.finish()
    if not group.first:  # what follows a training is done once, by who writes the model
        out = finish = None
    # As a loaded model: kernels may differ in the last digit by whether weights want gradients.
    model = prepared.model.to("cpu").requires_grad_(False)
    model.precision = torch.float32
    model.summary = _summary(run, prepared, facts)
    found: tuple[Finding, ...] = ()
    if run.private is None:
        seen = observe(model, _to_observe(prepared))
        found = findings(run.state.history, model.recipe, run.schedule, seen)
        model.summary["findings"] = [one.to_dict() for one in found]
    if out is not None:
        model.save(out)
    if finish is not None:
        finish(model, prepared.images)
    if out is not None:
        if finish is not None:
            model.save(out)
        _forget(state_file)
    if group.first:
        last = run.state.history[-1] if run.state.history else {}
        losses = {name: value for name, value in last.items() if name.startswith("train_")}
        event = run.event({name.removeprefix("train_"): value for name, value in losses.items()}, found)
        emit(callbacks, "on_end", event)
    return model


@contextlib.contextmanager
def _lost_said_once(run: Run, facts: dict[str, Any], out: str | os.PathLike[str] | None) -> Iterator[None]:
    """Of several processes that end because one did, one saves the state and says so."""
    group = run.processes
    try:
        yield
    except LostError:
        if not group.speaks_for_all():
            raise SystemExit(1) from None
        step, steps = run.state.step, run.schedule.steps
        if out is None:
            raise ProcessError(
                "one of {count} processes was lost after step {step} of {steps}",
                id="process.lost",
                count=group.count,
                step=step,
                steps=steps,
            ) from None
        path = checkpoints.resume_path(out)
        if run.between_steps:
            checkpoints.save(path, run.checkpoint(facts))
        raise ProcessError(
            "one of {count} processes was lost after step {step} of {steps}; the state is saved in "
            "{path}: the same call with resume goes on",
            id="process.lost-saved",
            count=group.count,
            step=step,
            steps=steps,
            path=path,
        ) from None
    except DivergedError:
        if not group.first:
            raise SystemExit(1) from None
        raise
    except BaseException:
        if group.count > 1:
            group.speaks_for_all()  # this process has its own to say: the others, who will miss it, have not
        raise


def _to_observe(prepared: Prepared) -> ImageSet:
    held_out = prepared.held_out
    return held_out if held_out is not None and len(held_out) >= FEW else prepared.images


def _forget(state_file: Path | None) -> None:
    if state_file is not None:
        with contextlib.suppress(OSError):
            state_file.unlink(missing_ok=True)


def _options(given: dict[str, Any]) -> Options:
    known = {f.name for f in dataclasses.fields(Options)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise UsageError(
            "train has no option '{name}'{suggestion}",
            id="training.unknown-option",
            name=unknown[0],
            suggestion=nearest(unknown[0], sorted(known)),
        )
    for name in ("size", "crop"):
        if isinstance(given.get(name), int):
            given = {**given, name: (given[name], given[name])}
    return Options(**given)


def _check_free(out: str | os.PathLike[str], force: bool) -> None:
    # The state lies beside the model, and the model is written twice: a device or pipe will not do.
    check_output(out, force=force, stream=False)
    if not force and path_exists(checkpoints.resume_path(out)):
        with exclusive(out):  # one that still runs is said to run, not to be unfinished
            pass
        raise OutputError(
            "an unfinished training of {out} lies beside it (force begins again)",
            id="training.unfinished",
            hint=Hint.add(resume=True),
            out=out,
        )


def _lock_output(out: str | os.PathLike[str], lock: contextlib.ExitStack) -> None:
    """Refuse to train what another process is training: both would write one state and one model."""
    check_output(out, force=True, stream=False)
    lock.enter_context(exclusive(out))


def _facts(prepared: Prepared, options: Options) -> dict[str, Any]:
    """What a resumed run must know, as JSON values."""
    return {
        "recipe": prepared.model.recipe.to_dict(),
        "settled": prepared.settled.to_dict(),
        "options": dataclasses.asdict(options),
        "source": prepared.images.source,
        "fingerprint": prepared.images.fingerprint(),
        "held_out": None if prepared.held_out is None else prepared.held_out.fingerprint(),
        "threads": torch.get_num_threads(),
    }


def _resumed(
    data: Any, val: Any, out: Path, group: Processes = ALONE, clock: Clock = monotonic
) -> tuple[Prepared, Run, dict[str, Any]]:
    saved = group.together(lambda: checkpoints.load(checkpoints.resume_path(out)))
    facts = {k: v for k, v in saved.facts.items() if k not in ("state", "format")}
    try:
        recipe = Recipe.from_dict(facts["recipe"])
        options = Options(**facts["options"])
        settled = Settled.from_dict(facts["settled"])
        threads = facts["threads"]
        began, began_held_out, source = facts["fingerprint"], facts["held_out"], facts["source"]
    except (IsthmusError, *DAMAGE) as error:
        where = checkpoints.resume_path(out)
        raise ModelFileError(
            "{where} is damaged: it does not describe a training ({reason})",
            id="training.state-damaged",
            where=where,
            reason=error,
        ) from error
    images, held_out, _ = read_together(data, val, recipe, options, group)
    group.together(lambda: check_same_data(images, began, source))
    if held_out is not None:
        group.together(partial(check_same_data, held_out, began_held_out, source))
    if threads != torch.get_num_threads():
        here = torch.get_num_threads()
        note = Message(
            "began with {threads} and goes on with {here}: the last digits may differ",
            id="choice.threads-changed",
            threads=format_count(threads, "thread"),
            here=here,
        )
        settled = replace(settled, notes=(*settled.notes, note))
    if settled.privacy is not None:
        privacy.check_extra()
        group.together(lambda: privacy.check(recipe, balance=options.balance, processes=group.count))
    model = build_model(recipe, images, settled.size, settled.seed)
    prepared = Prepared(model, images, held_out, settled, 0.0)
    run = group.together(lambda: prepared.run(options, group, clock))
    group.together(lambda: run.restore(saved))
    return prepared, run, facts


def _list_skipped(prepared: Prepared) -> list[list[str]]:
    """Name and reason of each input that was left out; none of private ones, whose names are private too."""
    if prepared.settled.privacy is not None:
        return []
    parts = [prepared.images, *([] if prepared.held_out is None else [prepared.held_out])]
    pairs = dict.fromkeys((one.name, one.reason) for part in parts for one in part.skipped)
    return [list(pair) for pair in pairs]


def _inventory(prepared: Prepared, facts: dict[str, Any]) -> dict[str, Any] | None:
    """What lets the training images be found again by a listing; None where not all are known here."""
    images, held_out = prepared.images, prepared.held_out
    source = Path(images.source)
    listed = source.is_dir() or source.suffix.lower() == ".tar"
    if not listed or facts["options"].get("only") is not None or prepared.settled.privacy is not None:
        return None
    own = [images] if held_out is None or held_out.source != images.source else [images, held_out]
    return inventory_of(own).to_dict()


def _summary(run: Run, prepared: Prepared, facts: dict[str, Any]) -> dict[str, Any]:
    state, settled = run.state, run.settled
    kept = "last" if run.keeps_last else "best"
    images: ImageSet = prepared.images
    skipped = _list_skipped(prepared)
    return {
        "version": __version__,
        "torch": torch.__version__,
        "data": {
            "source": images.source,
            # A hash of private images would tell whoever guesses them that the guess is right.
            "fingerprint": facts["fingerprint"] if settled.privacy is None else None,
            "images": len(images),
            "held_out": 0 if prepared.held_out is None else len(prepared.held_out),
            "classes": list(images.classes),
            "inventory": _inventory(prepared, facts),
            **({"target": images.target_source} if images.target_channels else {}),
            "notes": list(images.notes),
            "skipped": skipped,
            "messages": describe_messages([*images.notes, *(reason for _, reason in skipped)]),
        },
        "options": facts["options"],
        "settled": settled.to_dict(),
        "threads": facts["threads"],
        "steps": state.step,
        "seconds": round(state.seconds, 2),
        "images_per_second": round(state.step * settled.batch / max(state.seconds, 1e-9), 1),
        "ended_early": state.ended_early,
        "kept": kept,
        "best": {"step": state.best_step, "validation": state.best_loss}
        if state.best_loss is not None
        else None,
        "history": state.history,
        "knots": run.schedule.to_json(),
        "paused": 0.0 if run.budget is None else round(run.budget.paused, 2),
        "findings": [],
        "privacy": None if settled.privacy is None else settled.privacy.facts(state.step),
    }
