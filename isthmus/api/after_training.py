"""What follows every training: the tables of a codec, and the feature extractor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.errors import CapabilityError
from isthmus.log import log_note
from isthmus.progress import Progress, start_task

if TYPE_CHECKING:
    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder

MAX_PAIRS = 20_000  # whose inputs a feature extractor is fitted to


def finish_model(model: Autoencoder, images: ImageSet, *, progress: Progress | None = None) -> None:
    """Attach to a trained model what its uses need.

    A model that can compress gets the tables that files are written with. Every model but a private one gets
    its feature extractor: fitted to private images it would spend more of the promise than was asked for. One
    that was trained on pairs gets the linear map of patches that it is compared with.

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
