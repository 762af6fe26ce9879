"""How a training went."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from isthmus.api.inputs import DataLike, ModelLike, Range, describe_model, load_model, refuse_unused
from isthmus.api.pair_inputs import open_model_and_pairs
from isthmus.api.result import Result, skipped_inputs, use
from isthmus.errors import Hint
from isthmus.old_keywords import rename_keywords
from isthmus.progress import Progress, start_task
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.training.diagnosis.finding import Finding
    from isthmus.training.diagnosis.observed import Observed


@dataclass(frozen=True, kw_only=True, repr=False)
class Diagnosis(Result):
    """Problems of a trained model.

    Attributes:
        model: the model, as it was given.
        data: the images, as they were given; null where the training itself is looked at.
        findings: problems first, each with `name`, `severity` (`problem`, `warning` or `note`), `message`,
            `suggestion` (an option of the command line) and `hint` (the same as data); see the list in
            docs/use/diagnose.md.
        observed: what was measured on `data`, else null: `images`; `image_numbers` and `code_numbers`, of one
            image and of its code; `units` of the code (numbers of a vector, channels of a grid) and
            `constant_units`, the same for every image; `collapsed_units` and `kl` in nats of a gaussian code;
            `explained`, 1 - squared error / variance about the mean image; `explained_scrambled`, the same
            for images whose pixels are in random order; `outside`, share of the decoder's numbers more than
            0.05 outside of [0, 1]; `low` and `high`, below which 0.1 % and 99.9 % of the pixels lie.
    """

    schema: ClassVar[str] = "isthmus.diagnosis/1"

    model: str
    data: str | None
    findings: tuple[Finding, ...] = field(repr=False)
    observed: Observed | None = field(repr=False)

    def rows(self) -> tuple[list[str], list[list[object]]]:
        header = ["severity", "finding", "observation", "try"]
        return header, [[f.severity, f.name, f.message, f.suggestion] for f in self.findings]

    def table(self, rows: int | None = None) -> str:
        return super().table(rows) if self.findings else ""

    def summary(self) -> str:
        if self.findings:
            return ""
        where = "at the end of its training"
        if self.observed is not None:
            where = f"on {format_count(self.observed.images, 'image')} of {self.data}"
        return f"no problem was found with {self.model} {where}"


@rename_keywords(images="data")
@use
def diagnose(
    model: ModelLike,
    data: DataLike | None = None,
    *,
    target: DataLike | None = None,
    limit: int | None = None,
    range: Range | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Diagnosis:
    """Look for what commonly goes wrong in a training: dead units, posterior collapse, over-fitting and more.

    Each finding comes with a setting to try. Without images these are the findings of the end of the
    training, on its own held-out images.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        data: examine the model again on these images; best are images that it was not trained on.
        target: what these images should become; for a model trained on pairs.
        limit: examine it on at most this many images, evenly spaced.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        seed: of corruption and scrambling.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        DataError: unreadable images, or colour images for a gray model.
        ModelFileError: not a model, or its summary is not what isthmus writes.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((40, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> isthmus.diagnose(model, images).observed.images
        40
    """
    from isthmus.training.diagnosis.diagnose import diagnose_training
    from isthmus.training.diagnosis.observed import observe

    for option, is_given in (("limit", limit is not None), ("range", range is not None)):
        if data is None and is_given:
            refuse_unused(option, "without images", hint=Hint.call("diagnose", "MODEL", "DATA"))
    if data is None:
        network, images, observed = load_model(model), None, None
    else:
        network, images = open_model_and_pairs(model, data, target, limit=limit, range=range)
        with start_task(progress, "examining", 1) as task:
            observed = observe(network, images, seed=seed)
            task.update(1)
    source = None if images is None else images.source
    return Diagnosis(
        model=describe_model(model, network),
        data=os.fspath(data) if isinstance(data, (str, os.PathLike)) else source,
        findings=diagnose_training(network, observed),
        observed=observed,
        skipped=skipped_inputs(() if images is None else images.skipped),
    )
