"""What follows every training: the tables of a codec, a generator's prior, and the feature extractor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.errors import CapabilityError
from isthmus.log import log_note
from isthmus.progress import Progress, start_task

if TYPE_CHECKING:
    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder

PRIOR_BATCH = 128
MAX_PAIRS = 20_000  # whose inputs a feature extractor is fitted to


def finish_model(model: Autoencoder, images: ImageSet, *, progress: Progress | None = None) -> None:
    """Attach to a trained model what its uses need.

    A model that can compress gets the tables that files are written with. One that is trained to make new
    images gets a prior, in a quarter of the steps of its own training. Every model but a private
    one gets its feature extractor: fitted to private images it would spend more of the promise than was asked
    for. One that was trained on pairs gets the linear map of patches that it is compared with.

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
            "no feature extractor is stored: it would spend more privacy", id="training.private-no-extractor"
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
    steps, stop = max(1, int(model.summary.get("steps") or 1) // 4), Interruption()
    with start_task(progress, "fitting the prior that new images are drawn from", steps, "steps") as task:

        def show_step(step: Step) -> None:
            task.update(step.step)

        prior = fit_prior(
            model, images, kind=kind, steps=steps, batch=PRIOR_BATCH, listener=show_step, stop=stop
        )
    log_note(
        "a {kind} prior for new images was fitted in {seconds:.0f} s; fit_prior fits a longer one",
        id="training.prior",
        kind=prior.kind,
        seconds=model.attachments[f"prior/{prior.kind}"].facts["fit_seconds"],
    )
