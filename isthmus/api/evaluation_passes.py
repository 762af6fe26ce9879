"""The passes of an evaluation over images: corrupted, as they are, and over training images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from isthmus.api.facts import Gap, describe_gap
from isthmus.interruption import Interruption
from isthmus.progress import Task

if TYPE_CHECKING:
    from isthmus.evaluation.measure import Evaluator, Measurement
    from isthmus.evaluation.passes import Reconstructor
    from isthmus.evaluation.privacy import Membership
    from isthmus.images.store import ImageSet


@dataclass
class EvaluationPasses:
    """What the passes found; what an interruption left out is None.

    Attributes:
        main: under the recipe's own corruption.
        done: number of images that went through the model, in all passes.
        clean: metrics without corruption, where there is one.
        gap: metrics on training images.
        membership: success of membership inference.
    """

    main: Measurement
    done: int
    clean: dict[str, float] | None = None
    gap: Gap | None = None
    membership: Membership | None = None


def measure_passes(
    measure: Evaluator,
    images: ImageSet,
    rivals: Mapping[str, Reconstructor],
    probe: ImageSet | None,
    members: ImageSet | None,
    *,
    stop: Interruption,
    task: Task,
) -> EvaluationPasses:
    """Measure `images`, and then what they are compared with.

    Args:
        rivals: fitted baselines.
        probe: training images for the gap.
        members: all training images, where membership is tested.
        stop: keeps the numbers until Ctrl-C.
        task: shows the number of images that are done.

    Raises:
        KeyboardInterrupt: interrupted before any image was measured.
    """
    import numpy as np

    from isthmus.evaluation.privacy import measure_membership
    from isthmus.model import axes

    done = 0

    def count(batch: int) -> None:
        nonlocal done
        done += batch
        task.update(done)

    measure = replace(measure, done=count)
    corruption = measure.model.recipe.corruption
    passes = EvaluationPasses(measure(images, corruption, rivals, stop), 0)
    if not stop.happened:
        with stop:  # each of these is kept if it came to its end
            if not corruption.is_identity and not corruption.is_paired:
                passes.clean = measure(images, axes.NoCorruption(), {}).metrics
            if probe is not None:
                on_training = measure(probe, corruption, {})
                passes.gap = describe_gap(passes.main.metrics, on_training.metrics, len(probe))
                if members is not None:
                    new = ~np.isin(images.hashes(), members.hashes())
                    scores = passes.main.scores["mse"][new]
                    passes.membership = measure_membership(on_training.scores["mse"], scores)
    passes.done = done
    return passes
