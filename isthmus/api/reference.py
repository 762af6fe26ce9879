"""The training-data policy: what scaling, detectors and priors are fitted to.

In this order: what the caller gives (`normal=` for anomalies, else `reference=`), what the model file stores,
the training images if they are found and their fingerprint matches, else an error. Never the query. `cluster`
and `search` fit features to the set that they group or search, and record it (`data`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from isthmus.api.inputs import DataLike, Range, read_images_for
from isthmus.errors import DataError, Hint
from isthmus.log import log_note
from isthmus.messages import Message
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.features.readout import FeatureExtractor, FeatureSpec
    from isthmus.generation.prior import Prior
    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder

ReferenceKind = Literal["model", "training", "reference", "data"]
"""Where a fit comes from: the model file, its training images, images that were given, or DATA itself."""


def resolve_reference(
    model: Autoencoder,
    reference: DataLike | None,
    *,
    purpose: str,
    option: str = "reference",
    range: Range | None = None,
) -> tuple[ImageSet, ReferenceKind]:
    """The images that something is fitted to, and where they come from.

    Args:
        purpose: what they are needed for, as in "what is normal is not known".
        option: the argument that gives them.
        range: the sample values of black and white in `reference`.

    Raises:
        DataError: none are given and the training images are not found.
    """
    from isthmus.evaluation.training_data import find_training_images

    if reference is not None:
        return read_images_for(model, reference, range=range), "reference"
    images, reason = find_training_images(model)
    if images is None:
        raise DataError(
            "{reason}, and {purpose}",
            id="reference.not-found",
            hint=Hint.add(**{option: "DATA"}),
            reason=reason,
            purpose=purpose,
        )
    return images, "training"


def resolve_extractor(
    model: Autoencoder,
    reference: DataLike | None = None,
    *,
    layer: str | None = None,
    range: Range | None = None,
) -> tuple[FeatureExtractor, ReferenceKind]:
    """The feature extractor of a model: fitted to `reference`, stored, or fitted to the training images.

    Args:
        layer: read this layer, instead of what the model's own extractor reads.
        range: the sample values of black and white in `reference`.

    Raises:
        UsageError: the model has no such layer.
        DataError: nothing to fit it to.
    """
    from isthmus.features.readout import fit_extractor, read_extractor

    stored = read_extractor(model)
    if reference is None and stored is not None and layer in (None, stored.reading.layer):
        return stored, "model"
    reading = _choose_reading(model, layer)
    purpose = Message("features cannot be scaled", id="reference.no-scaling")
    images, kind = resolve_reference(model, reference, purpose=purpose, range=range)
    where = "its training images" if kind == "training" else images.source
    log_note(
        "features of layer {layer}, scaled on {where}",
        id="reference.features-scaled",
        layer=reading.layer,
        where=where,
    )
    return fit_extractor(model, images, reading), kind


def resolve_extractor_for(
    model: Autoencoder, images: ImageSet, *, layer: str | None = None
) -> tuple[FeatureExtractor, ReferenceKind]:
    """As `resolve_extractor`, where the use has images to learn from (normal ones, labelled ones): stored,
    else fitted to these.

    Raises:
        UsageError: the model has no such layer.
    """
    from isthmus.features.readout import read_extractor

    stored = read_extractor(model)
    if stored is not None and layer in (None, stored.reading.layer):
        return stored, "model"
    return fit_extractor_to_data(model, images, layer=layer), "data"


def fit_extractor_to_data(
    model: Autoencoder, images: ImageSet, *, layer: str | None = None
) -> FeatureExtractor:
    """For uses that compare the images of one set with one another (`cluster`, `search`): fitted to the set,
    also where the model stores an extractor, so that similarity is judged by what is usual in this set.

    Raises:
        UsageError: the model has no such layer.
    """
    from isthmus.features.readout import fit_extractor

    return fit_extractor(model, images, _choose_reading(model, layer))


def resolve_prior(
    model: Autoencoder,
    kind: str | None = None,
    reference: DataLike | None = None,
    *,
    range: Range | None = None,
) -> tuple[Prior, ReferenceKind]:
    """The prior to draw new codes from: fitted to `reference`, stored, or fitted to the training images.

    A fitted prior is used for this call only; `isthmus.fit_prior` stores one.

    Args:
        kind: of the prior; by default the best one that the model holds, else a mixture.
        range: the sample values of black and white in `reference`.

    Raises:
        CapabilityError: the model cannot generate.
        UsageError: a kind that the model does not hold.
        DataError: no prior, and nothing to fit one to.
    """
    from isthmus.generation.codes import check_generates
    from isthmus.generation.prior_store import fit_prior, list_priors, read_prior

    check_generates(model)
    if reference is None and (kind is not None or list_priors(model)):
        return read_prior(model, kind), "model"
    purpose = Message("the model has no prior over its codes yet", id="reference.no-prior")
    images, source = resolve_reference(model, reference, purpose=purpose, range=range)
    chosen = kind or "mixture"
    log_note(
        "a {kind} prior is fitted to {images} of {source} for this call only: fit one before to keep it in "
        "the model",
        id="prior.fitted-once",
        kind=chosen,
        images=format_count(len(images), "image"),
        source=images.source,
    )
    return fit_prior(model, images, kind=chosen, attached=False), source


def _choose_reading(model: Autoencoder, layer: str | None) -> FeatureSpec:
    """How features are read: as the stored extractor does, or the given layer, pooled."""
    from isthmus.features.readout import default_spec, read_extractor

    stored = read_extractor(model)
    reading = default_spec(model) if stored is None else stored.reading
    if layer is None or layer == reading.layer:
        return reading
    pool = () if layer == "code" else (1, 2)
    return replace(reading, layer=layer, rectify="none", pool=pool, power=1.0)
