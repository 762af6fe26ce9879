"""Every number about a model on a set of images, compared with baselines."""

from __future__ import annotations

import builtins
import itertools
import logging
import time
from typing import TYPE_CHECKING

from isthmus.api.evaluation_results import Evaluation
from isthmus.api.facts import describe_environment, describe_gap, describe_images, describe_network
from isthmus.api.inputs import (
    Bands,
    DataLike,
    ImageLookup,
    ModelLike,
    PathLike,
    Range,
    check_count,
    describe_model,
    read_images_for,
    refuse_unused,
)
from isthmus.api.pair_inputs import open_model_and_pairs
from isthmus.api.reference import resolve_prior
from isthmus.api.result import skipped_inputs, use
from isthmus.errors import DataError, Hint, UsageError
from isthmus.images.bands import note_bands
from isthmus.interruption import Interruption
from isthmus.log import log_note
from isthmus.messages import as_message
from isthmus.progress import Progress, start_task

if TYPE_CHECKING:
    from isthmus.evaluation.passes import Reconstructor
    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder

MAX_GAP_IMAGES = 2000
DEFAULT_SAMPLES = 10_000


@use
def evaluate(
    model: ModelLike,
    data: DataLike,
    *,
    target: DataLike | None = None,
    reference: DataLike | None = None,
    nll_samples: int = 0,
    generation: bool = False,
    samples: int = DEFAULT_SAMPLES,
    features: PathLike | None = None,
    privacy: bool = False,
    limit: int | None = None,
    range: Range | None = None,
    seed: int = 0,
    show: Bands | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a model on images that it was not trained on, and compare it with baselines.

    PCA with a code of the same size and the mean image are fitted to the training images. A model that was
    trained with a corruption is given corrupted images and compared with the clean ones.

    Every metric is a mean over images of one number per image, on values in [0, 1]; `psnr` is a mean of
    decibels, each at most 100. Codes are deterministic.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        data: images: a folder, file, archive, array, named set, or a list of those; sizes may differ.
        target: what the images should become, of the same names and sizes; for a model trained on pairs.
        reference: the training images, for baselines and the gap between training and test; by default those
            that the model file names.
        nll_samples: codes per image for `nll_nats` and `bits_per_dim` of a variational model whose image term
            is a likelihood; 0 leaves both out.
        generation: also draw new images and compare them with real ones.
        samples: with `generation`, at most this many images in each set that is compared.
        features: with `generation`, the file of a classifier to compare in, instead of the one that comes
            with the package or is trained for this once; where the file is not there, the trained one is
            written to it.
        privacy: test whether losses reveal the training images; the images must be of the same source as
            the training images and not among them.
        limit: at most this many images, evenly spaced.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        seed: of corruption and sampled codes.
        show: the channels, counted from 1, that pictures show of images with other than 1 or 3, such as
            `(4, 3, 2)`; by default the first three, of two the first.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: a number out of its range.
        CapabilityError: `generation` with a model that cannot generate.
        DataError: unreadable images, or of other channels than the model's; or `privacy` or `generation`
            without training images.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((40, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> found = isthmus.evaluate(model, images[:8], reference=images[8:])
        >>> sorted(found.baselines)
        ['mean_image', 'pca']
    """
    import numpy as np

    from isthmus.evaluation.code_metrics import likelihood_term
    from isthmus.evaluation.generation import evaluate_generation
    from isthmus.evaluation.measure import Evaluator
    from isthmus.evaluation.pair_baselines import pair_baselines_of
    from isthmus.evaluation.passes import fit_baselines
    from isthmus.evaluation.privacy import measure_membership
    from isthmus.generation.codes import check_generates
    from isthmus.generation.prior_store import list_priors
    from isthmus.images.subsets import sample_evenly
    from isthmus.model import axes

    started = time.monotonic()
    check_count("limit", limit)
    check_count("nll_samples", nll_samples, least=0)
    check_count("samples", samples, least=8)
    if features is not None and not generation:
        refuse_unused("features", "without new images to compare", hint=Hint.add(generation=True))
    if samples != DEFAULT_SAMPLES and not generation:
        refuse_unused("samples", "without new images to compare", hint=Hint.add(generation=True))
    network, all_images = open_model_and_pairs(model, data, target, range=range)
    corruption = network.recipe.corruption
    paired = corruption.is_paired
    if paired and (generation or privacy or reference is not None):
        raise UsageError(
            "a model trained on pairs has no measures of generation, privacy or reference",
            id="pairs.measures",
            hint="leave out generation, privacy and reference",
        )
    note_bands(show, network.output_channels)
    images = sample_evenly(all_images, limit)
    likely = likelihood_term(network.recipe)
    if nll_samples and (likely is None or not network.recipe.bottleneck.is_stochastic):
        reason = "on a model that is not variational, or whose image term is no likelihood"
        refuse_unused("nll_samples", reason, hint=Hint.call("train", "DATA", recipe="variational"))
    training_images = None
    if not paired:
        training_images = _find_training_images(
            network,
            reference,
            range,
            needed=privacy or generation,
            purpose="membership is tested" if privacy else "new images are compared",
        )
    corrupted = not corruption.is_identity and not paired
    probe = None if training_images is None else sample_evenly(training_images, MAX_GAP_IMAGES)
    total = len(images) * (2 if corrupted else 1) + (0 if probe is None else len(probe))
    rivals: dict[str, Reconstructor] = {}
    if paired:
        rivals |= pair_baselines_of(network)
    if training_images is not None:
        rivals |= fit_baselines(network, training_images, images, seed=seed)
        _note_overlap(
            all_images,
            training_images,
            same_source=reference is None and all_images.source == training_images.source,
        )
    stop = Interruption()
    with start_task(progress, "evaluating", total, "images") as task:
        image_count = 0

        def count(batch: int) -> None:
            nonlocal image_count
            image_count += batch
            task.update(image_count)

        measure = Evaluator(network, seed, nll_samples, count)
        main = measure(images, corruption, rivals, stop)
        clean = gap = membership = None
        if not stop.happened:
            with stop:  # each of these is kept if it came to its end
                if corrupted:
                    clean = measure(images, axes.NoCorruption(), {}).metrics
                if training_images is not None and probe is not None:
                    on_training = measure(probe, corruption, {})
                    gap = describe_gap(main.metrics, on_training.metrics, len(probe))
                    if privacy:
                        new = ~np.isin(images.hashes(), training_images.hashes())
                        membership = measure_membership(on_training.scores["mse"], main.scores["mse"][new])
    if likely is not None and likely.needs_probabilities and not main.binary:
        log_note(
            "the images are not black and white: nats under {likely} are cross-entropies, not probabilities",
            id="evaluation.cross-entropies",
            likely=likely.name,
        )
    if main.unlikely:
        log_note(
            "images of another size than the model's were resized: no nats are given", id="evaluation.no-nats"
        )
    new_images, compared = None, min(samples, len(all_images)) if generation else 0
    if generation and training_images is not None and not stop.happened:
        check_generates(network)
        with stop:
            stored = bool(list_priors(network))
            priors = None if stored else [resolve_prior(network, reference=reference, range=range)[0]]
            with start_task(progress, "measuring new images", 0) as task:
                numbers = itertools.count(1)
                new_images = evaluate_generation(
                    network,
                    all_images,
                    train=training_images,
                    priors=priors,
                    features=None if features is None else str(features),
                    count=samples,
                    seed=seed,
                    say=lambda text: task.update(next(numbers), text),
                )
            for note in new_images.notes:
                log_note(as_message(note, id="evaluation.note"))
    image_count += 0 if new_images is None else compared
    stop.check(image_count, total + compared, "image")
    return Evaluation(
        model=describe_network(network),
        data=describe_images(all_images, images.subset(list(builtins.range(main.images))), main.binary),
        metrics=main.metrics,
        baselines=main.baselines,
        clean=clean,
        gap=gap,
        privacy=membership,
        generation=new_images,
        code=main.code.statistics(),
        seed=seed,
        seconds=round(time.monotonic() - started, 3),
        environment=describe_environment(),
        names=images.names[: main.images],
        scores=main.scores,
        variances=main.code.variances().double().numpy(),
        skipped=skipped_inputs(
            all_images.skipped,
            training_images.skipped if training_images is not None and reference is not None else (),
        ),
        complete=stop.complete,
        _path=describe_model(model, network),
        _network=network,
        _lookup=ImageLookup(network, data, images, range, target),
    )


def _find_training_images(
    model: Autoencoder, reference: DataLike | None, range: Range | None, *, needed: bool, purpose: str
) -> ImageSet | None:
    """The training images; where they are not found and not needed, a note says what is left out."""
    from isthmus.evaluation.training_data import find_training_images

    if reference is not None:
        return read_images_for(model, reference, range=range)
    images, reason = find_training_images(model)
    if images is None and needed:
        raise DataError(
            "{reason}, and {purpose} against them",
            id="reference.not-found-to-compare",
            hint=Hint.add(reference="DATA"),
            reason=reason,
            purpose=purpose,
        )
    if images is None:
        log_note(
            "{reason}: PCA, the mean image and the train/test gap are not computed",
            id="evaluation.no-baselines",
            reason=reason,
        )
    return images


def _note_overlap(images: ImageSet, train: ImageSet, *, same_source: bool) -> None:
    import numpy as np

    from isthmus.evaluation.audit.near_overlap import warn_of_near_copies

    overlap = int(np.isin(images.hashes(), train.hashes()).sum())
    if overlap > 0:
        log_note(
            "{known:,} of the {images:,} images are among the training images: results on those do not test "
            "the model",
            id="evaluation.training-images",
            log_level=logging.WARNING,
            known=overlap,
            images=len(images),
        )
    elif same_source:
        # Training resizes: then its images have other pixels than those it began with.
        log_note(
            "the model was trained on {source} too: these results do not show how it treats new images",
            id="evaluation.training-source",
            source=train.source,
        )
    if not same_source and overlap < len(images):
        warn_of_near_copies(images, train, "training images")
