"""From a request to a run that is ready to take its first step (or its next one)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from isthmus.errors import DataError, UsageError
from isthmus.images.batches import iter_batches
from isthmus.images.cache import cache_folder, memory_bytes
from isthmus.images.conform import conform
from isthmus.images.only import keep_named
from isthmus.images.pieces import random_pieces
from isthmus.images.reading import read
from isthmus.images.split import hold_out
from isthmus.images.store import ImageSet
from isthmus.messages import Message
from isthmus.metrics.noise import estimate_sigma
from isthmus.model import axes, capabilities
from isthmus.model.allocation import TooLargeError, at_most
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.footprint import check_memory
from isthmus.model.initialisation import init_filters
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import recipe as named_recipe
from isthmus.training import privacy
from isthmus.training.choose import SHORT_STEPS, Frame, batch_size, frame, short_batch, sides
from isthmus.training.clock import Clock, monotonic
from isthmus.training.distributed import ALONE, Processes
from isthmus.training.distributed_draws import check_distributed, drawn_alike
from isthmus.training.measure import choose_precision
from isthmus.training.options import Options, Settled
from isthmus.training.pairs import settle_pairs
from isthmus.training.player import AutoencoderLearner
from isthmus.training.run import Run
from isthmus.training.schedule import warmup_steps
from isthmus.training.start import init_short
from isthmus.wording import choose_word, format_count

DEFAULT_MINUTES = 5.0
VALIDATIONS = 40
MEAN_PIXELS = 2**23
NOISE_IMAGES = 32


@dataclass(frozen=True)
class Prepared:
    """A model, its data and everything that was chosen.

    Attributes:
        model: untrained.
        images, held_out: training and validation part (None when nothing is held out).
        settled: length, batch, precision, notes.
        seconds_per_step: measured on this machine; 0 where no choice hung on it.
    """

    model: Autoencoder
    images: ImageSet
    held_out: ImageSet | None
    settled: Settled
    seconds_per_step: float

    def run(self, options: Options, processes: Processes = ALONE, clock: Clock = monotonic) -> Run:
        if processes.count > 1:
            check_distributed(self.model.recipe)
        learner = AutoencoderLearner(self.model)
        return Run(
            learner,
            self.images,
            self.held_out,
            self.settled,
            patience=options.patience,
            balance=options.balance,
            turn=options.turn,
            processes=processes,
            alike=drawn_alike(self.model.recipe),
            step_seconds=self.seconds_per_step,
            clock=clock,
        )


def settle_recipe(recipe: str | Recipe, code: str | None, settings: Iterable[str] | dict[str, Any]) -> Recipe:
    """The recipe that a name (or a recipe), a code and settings together mean."""
    chosen = named_recipe(recipe) if isinstance(recipe, str) else recipe
    if code is not None:
        chosen = replace(chosen, code=code)
    return chosen.with_settings(settings)


def read_parts(
    data: Any, val: Any, recipe: Recipe, options: Options
) -> tuple[ImageSet, ImageSet | None, Frame]:
    """The training and validation images as the frame wants them.

    Raises:
        DataError: unreadable, empty, or of fewer than two images when a part is to be held out.
    """
    # Resized at once: at full size they may not fit.
    mapped = isinstance(data, ImageSet) and data.target_channels > 0  # pairs were when they were read
    images = read(data, size=options.size, cache=options.cache, range=None if mapped else options.range)
    recipe = settle_pairs(recipe, images)
    if images.target_channels and val is not None:
        raise UsageError("pairs are validated on a held-out part of them: leave val away", id="pairs.val")
    if options.only is not None:
        images = keep_named(images, options.only)
    if options.balance and images.labels is None:
        raise DataError(
            "{source} has no labels to balance",
            id="training.balance-without-labels",
            hint="put each class in a folder of its own",
            source=images.source,
        )
    chosen = frame(images, recipe, options)
    if chosen.resize is not None:
        images = conform(images, size=chosen.resize, channels=None)
    if val is not None:
        return images, _conformed(read(val, cache=options.cache, range=options.range), images, chosen), chosen
    if options.validation == 0 or len(images) < 2 or options.private is not None:
        return images, None, chosen
    train, held_out = hold_out(images, options.validation)
    if len(held_out) == 0:
        return images, None, chosen
    return images.subset(train), images.subset(held_out), chosen


def _conformed(val: ImageSet, images: ImageSet, chosen: Frame) -> ImageSet:
    # A vector code has one size; a grid code, and the middle that is cut out of larger images, take any.
    size = chosen.resize if chosen.crop or chosen.recipe.geometry.is_grid else chosen.size
    channels = images.channels if images.channels in (1, 3) else None
    val = conform(val, size=size, channels=channels)
    if val.channels != images.channels:
        raise DataError(
            "{source} has {given}, the images to train on have {expected}",
            id="training.channels",
            source=val.source,
            given=format_count(val.channels, "channel"),
            expected=images.channels,
        )
    return val


def prepare(
    data: Any,
    *,
    recipe: Recipe,
    val: Any = None,
    options: Options,
    processes: Processes = ALONE,
    clock: Clock = monotonic,
) -> Prepared:
    """Read the data, settle every choice, build the model and measure a step.

    Of several processes all read the same pixels, from one file per machine, and do what the first settles.

    Raises:
        DataError, UsageError, CapabilityError: as the parts do.
    """
    if options.private is not None:
        privacy.check_extra()
    images, held_out, chosen = read_together(data, val, recipe, options, processes)
    prepared = processes.together(lambda: _settled(images, held_out, chosen, options, processes.count, clock))
    if processes.count == 1:
        return prepared
    settled = Settled.from_dict(processes.of_first(prepared.settled.to_dict()))
    note = Message(
        "{count} processes share every step of {images}",
        id="choice.processes",
        count=processes.count,
        images=format_count(settled.batch, "image"),
    )
    return replace(prepared, settled=replace(settled, notes=(*settled.notes, note)))


def read_together(
    data: Any, val: Any, recipe: Recipe, options: Options, processes: Processes
) -> tuple[ImageSet, ImageSet | None, Frame]:
    """`read_parts` in every process; decoded pixels lie in one file per machine, that all of them map.

    Raises:
        ProcessError: the processes find different images.
    """
    if processes.count > 1 and options.cache is None:
        options = replace(options, cache=str(cache_folder() / "folders"))
    found = processes.in_turn(lambda: read_parts(data, val, recipe, options))
    if processes.count > 1:
        own = found[0].fingerprint()
        first = processes.of_first(own)

        def check() -> None:
            if own != first:
                raise DataError(
                    "{source} holds other images here than for process 0",
                    id="training.processes-differ",
                    source=found[0].source,
                )

        processes.together(check)
    return found


def _settled(
    images: ImageSet,
    held_out: ImageSet | None,
    chosen: Frame,
    options: Options,
    processes: int,
    clock: Clock,
) -> Prepared:
    private = options.private is not None
    if private:
        privacy.check(chosen.recipe, balance=options.balance, processes=processes)
    chosen = _noise_settled(chosen, images)
    capabilities.check(chosen.recipe)
    model = build_model(chosen.recipe, images, chosen.size, options.seed, look=not private)
    batch, said = batch_size(len(images), chosen)
    if private:
        usual = chosen.recipe.optimiser.batch is None and not chosen.recipe.optimiser.takes_all_images
        batch = privacy.batch_of(len(images), batch) if usual else min(batch, len(images))
        said = Message(
            "batch {batch} on average (setting optimiser.batch): the more images, the less the noise counts",
            id="choice.private-batch",
            batch=batch,
        )
    shorter = None if private else short_batch(len(images), batch, chosen, options, processes)
    if shorter is not None:
        batch, said = shorter
    if best_device().type == "cpu":
        # Full-batch descent takes its images in chunks, one by one where they are large.
        at_once = 1 if chosen.recipe.optimiser.takes_all_images else batch
        shape = (at_once, images.channels, *chosen.size)
        check_memory(chosen.recipe.backbone, chosen.recipe.geometry, shape, backward=True)
    notes = [*chosen.notes, said]
    if held_out is None and private:
        notes.append(
            Message(
                "no image of DATA is held out: a choice by it would give it away; the last weights are kept",
                id="choice.private-not-held-out",
            )
        )
    elif held_out is None:
        notes.append(
            Message("nothing is held out for validation: the last weights are kept", id="choice.not-held-out")
        )
    first = Settled(
        size=chosen.size,
        crop=chosen.crop,
        batch=batch,
        steps=1000,
        validate_every=1000,
        precision="float32",
        seed=options.seed,
        privacy=_privacy(options, len(images), batch, 1000),
    )
    epochs = chosen.recipe.optimiser.epochs
    minutes = _minutes(options, epochs)
    # Of several processes each measures its part of a step, at the same time as the others.
    part = replace(first, batch=max(1, batch // processes))
    wanted = "float32" if private and options.precision == "auto" else options.precision
    precision, seconds, why = choose_precision(model, images, part, wanted, minutes=minutes, clock=clock)
    if private and options.precision == "auto":
        why = Message("precision float32: gradients of single images", id="choice.precision-private")
    notes.append(why)
    steps, length = _steps(options, len(images), batch, minutes, seconds, epochs)
    notes.append(length)
    short = minutes is None and (shorter is not None or steps < SHORT_STEPS)
    if short and not private:
        notes += init_short(model, images, chosen)
    if minutes is not None and private:
        notes.append(
            Message(
                "private: {steps} whatever time they take: the noise is calibrated to their number",
                id="choice.private-steps",
                steps=format_count(steps, "step"),
            )
        )
    every = _validate_every(steps, batch, 0 if held_out is None else len(held_out))
    terms = _privacy(options, len(images), batch, steps)
    if terms is not None:
        notes += privacy.described(terms, steps, val=held_out is not None)
    settled = replace(
        first,
        steps=steps,
        validate_every=every,
        precision=precision,
        notes=tuple(notes),
        privacy=terms,
        minutes=None if private else minutes,
        # A short training is all warm-up: the end of its falling rate is its best part.
        warmup_steps=steps if short else warmup_steps(chosen.recipe.optimiser, steps),
    )
    return Prepared(model, images, held_out, settled, seconds)


def _privacy(options: Options, count: int, batch: int, steps: int) -> privacy.Privacy | None:
    if options.private is None:
        return None
    return privacy.settle(
        epsilon=options.private,
        delta=options.delta,
        clip=options.clip_norm,
        seed=options.noise_seed,
        count=count,
        batch=batch,
        steps=steps,
    )


def _noise_settled(chosen: Frame, images: ImageSet) -> Frame:
    """Measure the noise of images that are noisy themselves, where nobody said it."""
    if not chosen.recipe.corruption.needs_noise_level:
        return chosen
    some = np.linspace(0, len(images) - 1, min(len(images), NOISE_IMAGES)).astype(int)
    sigma = max(0.01, round(float(np.median([estimate_sigma(images.image(int(i))) for i in some])), 2))
    recipe = chosen.recipe.with_settings({"corruption.sigma": sigma})
    note = Message(
        "the images have noise of σ {sigma:g} of 255, measured on {images} (corruption.sigma)",
        id="choice.noise",
        sigma=sigma,
        images=len(some),
    )
    return replace(chosen, recipe=recipe, notes=(*chosen.notes, note))


def build_model(
    recipe: Recipe, images: ImageSet, size: tuple[int, int], seed: int, *, look: bool = True
) -> Autoencoder:
    """An untrained model for these images, on the device this machine trains on.

    Args:
        look: whether it may start from the images' brightness; else from gray, whatever they show.

    Raises:
        UsageError: its weights would not fit into this machine's memory.
    """
    try:
        with at_most(memory_bytes() // 8):  # of 4 bytes each; training takes several times as many
            model = build(recipe, channels=images.input_channels, size=size, seed=seed)
    except TooLargeError:
        with torch.device("meta"):
            _check_memory(build(recipe, channels=images.input_channels, size=size, seed=seed), size)
        model = build(recipe, channels=images.input_channels, size=size, seed=seed)  # it fits after all
    _check_memory(model, size)
    if not look:
        model.start_at(torch.full((images.channels,), 0.5), torch.tensor(0.25))
        return model.to(best_device())
    some = images.subset(np.linspace(0, len(images) - 1, min(len(images), 256)).astype(int))
    # Whole photographs come a few at a time, or their floats would fill the memory.
    height, width = sides(some)[1]
    per_pass = max(1, min(64, MEAN_PIXELS // (height * width)))
    sums = [(b.images.mean((0, 2, 3)), b.images.square().mean()) for b in iter_batches(some, batch=per_pass)]
    mean = torch.stack([first for first, _ in sums]).mean(0)
    square = torch.stack([second for _, second in sums]).mean()
    model.start_at(mean, (square - mean.square().mean()).clamp_min(0).sqrt())
    wanted = recipe.backbone.initial_patches(recipe.geometry)
    if wanted is not None:
        patches = random_pieces(images, wanted.side, wanted.count, seed=seed)
        init_filters(model, torch.from_numpy(patches), seed)
    return model.to(best_device())


def _check_memory(model: Autoencoder, size: tuple[int, int]) -> None:
    # Asked before, for the system ends a process that asks for too much without a word.
    recipe = model.recipe
    parameters = sum(p.numel() for p in model.parameters())
    needed, has = weights_bytes(parameters, recipe.optimiser), memory_bytes()
    if needed > has:
        raise UsageError(
            "a code of {code} for {height}×{width} images makes {parameters:,} parameters, whose "
            "training needs {needed_gib:,.0f} GiB; this machine has {has_gib:,.0f}: choose a "
            "smaller code, size or backbone.width",
            id="training.memory",
            code=recipe.code,
            height=size[0],
            width=size[1],
            parameters=parameters,
            needed_gib=needed / 2**30,
            has_gib=has / 2**30,
        )


def weights_bytes(parameters: int, optimiser: axes.Optimiser) -> int:
    """Memory that training needs for weights, their gradients, moments, average and best copy."""
    return 4 * parameters * (3 + optimiser.moments_per_weight + bool(optimiser.ema))


def best_device() -> torch.device:
    """CUDA where there is one, then Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps") if torch.backends.mps.is_available() else torch.device("cpu")


def _minutes(options: Options, epochs: float | None) -> float | None:
    """The length in time, where it is one; `epochs` is the recipe's length."""
    if options.minutes is not None:
        return options.minutes
    if options.steps is not None or options.epochs is not None or epochs is not None:
        return None
    return DEFAULT_MINUTES


def _steps(
    options: Options, count: int, batch: int, minutes: float | None, seconds: float, epochs: float | None
) -> tuple[int, str]:
    """Steps of the whole training, an estimate where its length is a time; and a sentence that says so."""
    per_epoch = count / batch
    if options.steps is not None:
        return int(options.steps), Message(
            "{steps}, as asked", id="choice.steps-asked", steps=format_count(options.steps, "step")
        )
    if minutes is None:
        asked = options.epochs if options.epochs is not None else epochs
        assert asked is not None
        steps = max(1, math.ceil(asked * per_epoch))
        length, equals = format_count(asked, "epoch"), choose_word(asked, "is", "are")
        if options.epochs is not None:
            return steps, Message(
                "{length} {equals} {steps}",
                id="choice.epochs",
                length=length,
                equals=equals,
                steps=format_count(steps, "step"),
            )
        said = Message(
            "{length}, the recipe's length, {equals} {steps}",
            id="choice.epochs-of-recipe",
            length=length,
            equals=equals,
            steps=format_count(steps, "step"),
        )
        return steps, Message("{length} (minutes, epochs)", id="choice.length-of-recipe", length=said)
    # Reading, measuring, validations and checkpoints take their share.
    steps = max(1, int(minutes * 60 * 0.92 / seconds))
    said = format_count(minutes, "minute") + ("" if options.minutes is not None else " (minutes, epochs)")
    return steps, (
        Message(
            "{length} {verb} about {steps} at {milliseconds:.3g} ms, {epochs}; how many there "
            "will be follows from the time that they take",
            id="choice.minutes",
            length=said,
            verb=choose_word(minutes, "is", "are"),
            steps=format_count(steps, "step"),
            milliseconds=1000 * seconds,
            epochs=format_count(float(f"{steps / per_epoch:.3g}"), "epoch"),
        )
    )


def _validate_every(steps: int, batch: int, held_out: int) -> int:
    # A validation costs about a third of a training pass; together they stay below a tenth of the time.
    affordable = math.ceil(held_out / 3 / (0.1 * batch))
    return max(1, min(steps, max(steps // VALIDATIONS, affordable)))


def check_same_data(images: ImageSet, fingerprint: str, source: str) -> None:
    """Raises:
    UsageError: a training is resumed on other data than it began with.
    """
    if images.fingerprint() != fingerprint:
        raise UsageError(
            "{source} is not the data this training began with ({expected}): resume needs the same",
            id="training.other-data",
            source=images.source,
            expected=source,
        )
