"""Train an autoencoder on images, and preview a training."""

from __future__ import annotations

import inspect
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from isthmus.api.corrected_calls import correcting_calls
from isthmus.api.inputs import MODEL_SUFFIX, DataLike, ModelLike, PathLike, Range, Size, check_is_data
from isthmus.api.pair_inputs import read_pairs
from isthmus.api.training_preview import TrainingPreview
from isthmus.api.training_watch import TrainingWatcher, log_choices
from isthmus.errors import CapabilityError, UsageError, nearest
from isthmus.interruption import is_inside_use
from isthmus.log import collect_notes, log_note
from isthmus.progress import Progress, start_task

if TYPE_CHECKING:
    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder
    from isthmus.model.recipe import Recipe
    from isthmus.training.callbacks import Callback
    from isthmus.training.callbacks import (
        TrainingEvent as TrainingEvent,  # re-exported for web/, which imports from api/ alone
    )


Precision = Literal["auto", "float32", "bfloat16"]


def train(
    data: DataLike,
    *,
    target: DataLike | None = None,
    recipe: str | PathLike | Recipe | None = None,
    code: str | None = None,
    settings: Mapping[str, Any] | Sequence[str] = (),
    val: DataLike | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    size: Size | None = None,
    crop: Size | None = None,
    range: Range | None = None,
    names_from: PathLike | None = None,
    limit: int | None = None,
    groups: PathLike | None = None,
    validation: float = 0.1,
    patience: int = 12,
    balance: bool = False,
    augment_orientations: bool = False,
    augment_mirror: bool = False,
    start_from: ModelLike | None = None,
    precision: Precision = "auto",
    private: float | None = None,
    delta: float | None = None,
    clip_norm: float | None = None,
    noise_seed: int | None = None,
    cache: PathLike | None = None,
    checkpoint_seconds: float = 60.0,
    out: PathLike | None = None,
    resume: bool = False,
    force: bool = False,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    progress: Progress | None = None,
    **old: Any,
) -> Autoencoder:
    """Train an autoencoder on images.

    Options that are not given are chosen from the images and logged. A codec gets the tables that files are
    written with, and every model but a private one gets its feature extractor.

    Args:
        data: images: a folder, file, archive, array, named set, or a list of those.
        target: what the images should become, of the same names and sizes: the model learns to make these
            from the images, which may have other channels.
        recipe: a name (`isthmus recipes` lists them), a TOML file, or a `Recipe`; by default that of the
            model to start from, or `conv`; with `target`, `transform-pairs`.
        code: shape of the code: `64` is a vector, `32@8` a grid at 1/8 of the image's size.
        settings: change settings of the recipe, such as `bottleneck.weight=1e-3`.
        val: images to validate on, instead of a held-out part of the data.
        epochs: length in passes over the images.
        minutes: length in time; by default, without any length, the recipe's, or 5; for `generative` 20.
        steps: length in steps.
        size: resize every image to this height and width in pixels.
        crop: train on random pieces of this height and width in pixels.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        names_from: use only the images named in this file, one name a line.
        limit: at most this many images, evenly spaced.
        groups: images that are held out together, such as those of one patient: a file with lines
            `name,group`, or a regular expression for names whose first group it is; by default those that a
            list of the images names.
        validation: share of the images that is held out, from 0 up to 1.
        patience: end after this many validations in a row above the best; 0 never ends early.
        balance: draw all classes equally often.
        augment_orientations: mirror and turn examples at random: for images without an up.
        augment_mirror: mirror examples left to right at random: for images with an up, but not for text.
        start_from: begin with the weights of this model of the same architecture. With `target` it may also
            be a denoiser, such as `photo-denoise-colour` for photographs: their details are known to it.
        precision: `auto` takes bfloat16 where the processor multiplies it.
        private: spend at most this ε on any one image (extra `privacy`).
        delta: δ of a private training; by default 1/(10 N).
        clip_norm: largest norm of one image's gradient in a private training.
        noise_seed: repeat a private training's noise: for experiments only.
        cache: keep decoded pixels in a file in this folder, mapped into memory.
        checkpoint_seconds: time between saved states.
        out: where the model is written; its state is next to it until then and survives a crash.
        resume: continue the unfinished training of the same output, to a longer length if one is given;
            everything else is as it began, and a request that differs is refused.
        force: overwrite an output that exists.
        seed: of the weights and everything random.
        callbacks: called while the training runs, see `isthmus.training.callbacks`.
        progress: shows how far the call is; by default a bar or lines in the log.

    Returns:
        The model with the weights of the lowest validation loss (with a critic, the last ones); how it was
        trained is in `model.training_report`. An interrupt (Ctrl-C) without `out` ends the training early:
        the model has the best weights so far, and `training_report.complete` is False.

    Raises:
        UsageError, CapabilityError: an impossible request.
        DataError: images that cannot be read, or none.
        OutputError: the model cannot be written, or `out` exists.
        Stopped: interrupted with `out` given; the state is saved and `resume=True` continues it.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((32, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> model.training_report.steps
        2
    """
    arguments = locals()
    began = time.monotonic()  # before torch is imported, which counts as part of the requested time
    from isthmus.training.config import TrainConfig
    from isthmus.training.session import train_model
    from isthmus.training.trainer_setup import Observers

    config = TrainConfig(
        **{field.name: arguments[field.name] for field in fields(TrainConfig)} | _rename_old(old)
    )
    request = {"target": target, "recipe": recipe, "val": val, "start_from": start_from, "out": out}
    with correcting_calls(train, (data,), request), collect_notes(), ExitStack() as stack:
        check_is_data(data)
        if target is not None:
            data, usual = _pair(data, target, recipe, start_from, cache, range)
            recipe = recipe if resume else usual  # a resumed training has its recipe
        watcher = TrainingWatcher(stack, progress, resumed=resume)
        model = train_model(
            data,
            config,
            recipe=recipe,  # type: ignore[arg-type]
            code=code,
            settings=settings,
            val=val,
            out=out,
            resume=resume,
            force=force,
            start_from=start_from,
            observers=Observers(
                callbacks=callbacks,
                listener=watcher.on_step,
                on_ready=watcher.on_ready,
                finish=lambda model, images: finish_model(model, images, progress=progress),
            ),
            began=began,
        )
    if not model.summary["complete"] and is_inside_use():  # the calling use decides what it stores
        raise KeyboardInterrupt
    return model


def _pair(
    data: DataLike,
    target: DataLike,
    recipe: str | PathLike | Recipe | None,
    start_from: ModelLike | None,
    cache: PathLike | None,
    range: Range | None,
) -> tuple[DataLike, str | PathLike | Recipe | None]:
    """The pairs, and the recipe if none is given."""
    from isthmus.model.initialisation import recipe_of_start

    if recipe is None:
        recipe = recipe_of_start(start_from, paired=True)
    return read_pairs(data, target, cache=cache, range=range), recipe


def plan_training(
    data: DataLike,
    *,
    target: DataLike | None = None,
    recipe: str | PathLike | Recipe | None = None,
    code: str | None = None,
    settings: Mapping[str, Any] | Sequence[str] = (),
    val: DataLike | None = None,
    start_from: ModelLike | None = None,
    **options: Any,
) -> TrainingPreview:
    """Preview a training without training: shapes, parameters, memory and time. Nothing is written.

    Args:
        data, target, recipe, code, settings, val, start_from: see `train`.
        options: the options of `train` that decide about length and images.

    Raises:
        UsageError, CapabilityError, DataError: see `train`.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.zeros((32, 16, 16, 1), dtype=np.float32)
        >>> isthmus.plan_training(images, recipe="dense", code="8", steps=2).code
        (8,)
    """
    check_is_data(data)
    from isthmus.api.training_preview import preview_training
    from isthmus.model.initialisation import recipe_of_start
    from isthmus.model.recipes import resolve_recipe
    from isthmus.threads import limited
    from isthmus.training.config import OLD_NAMES, TrainConfig
    from isthmus.training.trainer_setup import start_training

    request = {OLD_NAMES.get(name, name): value for name, value in options.items()}
    option_names = [field.name for field in fields(TrainConfig)]
    for name in request:
        if name not in option_names:
            raise UsageError(
                "plan_training has no option '{name}'{suggestion}",
                id="training.unknown-plan-option",
                name=name,
                suggestion=nearest(name, option_names),
            )
    config = TrainConfig(**request)
    with collect_notes(), limited():
        if target is not None:
            data, recipe = _pair(data, target, recipe, start_from, config.cache, config.range)
        point = resolve_recipe(recipe_of_start(start_from) if recipe is None else recipe, code, settings)  # type: ignore[arg-type]
        trainer, _ = start_training(data, config, recipe=point, val=val)
        log_choices(trainer)
        return preview_training(trainer, config)


def default_model_path(data: DataLike) -> str:
    """The model's file name for `train DATA`: `photos.safetensors` for `photos/`.

    >>> default_model_path("mnist:train")
    'mnist.safetensors'
    """
    if not isinstance(data, (str, os.PathLike)):
        return f"model{MODEL_SUFFIX}"
    path = Path(data)
    if not path.exists():
        name = os.fspath(data).partition(":")[0]
    elif path.is_dir():
        name = path.resolve().name
    else:
        name = path.name.removesuffix(".gz")
        name = name.rpartition(".")[0] or name
    return f"{name or 'model'}{MODEL_SUFFIX}"


def makes_new_images(recipe: str) -> bool:
    """Whether models of a named recipe get a prior after their training.

    >>> makes_new_images("generative"), makes_new_images("conv")
    (True, False)
    """
    from isthmus.model.recipes import RECIPES

    return recipe in RECIPES and RECIPES[recipe]().backbone.wants_prior


def default_test_data(data: PathLike) -> str:
    """Images to measure a model of `data` on: the test split of a named set, else the data itself.

    >>> default_test_data("mnist")
    'mnist:test'
    """
    from isthmus.images.named import is_name
    from isthmus.outputs import path_exists

    name = os.fspath(data)
    return f"{name.partition(':')[0]}:test" if not path_exists(name) and is_name(name) else name


def _rename_old(old: dict[str, Any]) -> dict[str, Any]:
    """Options under their names of version 0.1 are taken, with a warning."""
    from isthmus.training.config import OLD_NAMES

    for name in old:
        if name not in OLD_NAMES:
            option_names = [
                parameter_name
                for parameter_name in inspect.signature(train).parameters
                if parameter_name != "old"
            ]
            raise UsageError(
                "train has no option '{name}'{suggestion}",
                id="training.unknown-option",
                name=name,
                suggestion=nearest(name, option_names),
            )
        warnings.warn(
            f"train({name}=…) is now {OLD_NAMES[name]}=…; the old name goes with version 0.3",
            DeprecationWarning,
            stacklevel=3,
        )
    return {OLD_NAMES[name]: value for name, value in old.items()}


PRIOR_BATCH, PRIOR_EPOCHS = 128, 15  # of 3,600 codes the best weights came after 10 epochs
FEW_CODES, FEW_CODES_WIDTH = 10_000, 256  # a flow over fewer vectors is no better with its usual width of 512
MAX_PAIRS = 20_000  # whose inputs a feature extractor is fitted to


def finish_model(model: Autoencoder, images: ImageSet, *, progress: Progress | None = None) -> None:
    """Attach to a trained model what its uses need.

    A model that can compress gets the tables that files are written with. One that is trained to make new
    images gets a prior, in a quarter of the steps of its own training and at most 15 passes over the
    codes. Every model but a private one gets its feature extractor: fitted to private images it would spend
    more of the promise than was asked for. One that was trained on pairs gets the linear map of patches that
    it is compared with.

    Args:
        model: just trained.
        images: those it was trained on.

    Raises:
        DataError: images of a kind that the model does not read.
    """
    from isthmus.codec.fit import fit_codec_to_images
    from isthmus.codec.transform import check_codec
    from isthmus.features.readout import attach_extractor, fit_extractor

    try:
        check_codec(model)
    except CapabilityError:
        pass
    else:
        with start_task(progress, "fitting the tables that files are written with", 1) as task:
            fit_codec_to_images(model, images, listener=lambda done, bands: task.update(done / max(bands, 1)))
    if model.recipe.backbone.wants_prior and not model.recipe.bottleneck.is_discrete and len(images) > 1:
        _fit_prior(model, images, progress)
    if model.summary.get("privacy") is not None:
        log_note(
            "no feature extractor is stored: fitting it would spend more of the privacy budget",
            id="training.private-no-extractor",
        )
        return
    if images.target_channels:
        from isthmus.evaluation.pair_baselines import store_linear_map
        from isthmus.images.pairs import split_pair
        from isthmus.images.subsets import sample_evenly

        store_linear_map(model, images)
        images, _ = split_pair(sample_evenly(images, MAX_PAIRS))
    with start_task(progress, "fitting the feature extractor", 1) as task:
        attach_extractor(model, fit_extractor(model, images))
        task.update(1)


def _fit_prior(model: Autoencoder, images: ImageSet, progress: Progress | None) -> None:
    from isthmus.generation.prior_store import fit_prior
    from isthmus.interruption import Interruption
    from isthmus.training.callbacks import Progress as Step

    kind = "attention" if model.recipe.geometry.is_grid else "flow"
    width = FEW_CODES_WIDTH if kind == "flow" and len(images) < FEW_CODES else None
    most = max(1, PRIOR_EPOCHS * len(images) // PRIOR_BATCH)
    steps, stop = max(1, min(most, int(model.summary.get("steps") or 1) // 4)), Interruption()
    with start_task(progress, "fitting the prior that new images are drawn from", steps, "steps") as task:

        def show_step(step: Step) -> None:
            task.update(step.step)

        prior = fit_prior(
            model,
            images,
            kind=kind,
            steps=steps,
            width=width,
            batch=PRIOR_BATCH,
            listener=show_step,
            stop=stop,
        )
    log_note(
        "a {kind} prior for new images was fitted in {seconds:.0f} s; a longer one can be fitted afterwards",
        id="training.prior",
        kind=prior.kind,
        seconds=model.attachments[f"prior/{prior.kind}"].facts["fit_seconds"],
    )
