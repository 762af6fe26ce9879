"""The objective on images that the training does not see."""

from __future__ import annotations

import torch

from isthmus.images.batches import iter_batches
from isthmus.images.store import ImageSet, side_range
from isthmus.training.players import GradientStrategy, Learner, generator_for
from isthmus.training.seeds import step_seed

PASS_PIXELS = 2**21  # pixel-channels in one pass


@torch.no_grad()
def evaluate_objective(
    learner: Learner,
    held_out: ImageSet,
    *,
    crop: tuple[int, int] | None,
    strategy: GradientStrategy,
) -> tuple[float, dict[str, float]]:
    """The first player's whole objective on the held-out images, at full weights, and its terms.

    The noise of corruptions and stochastic codes is the same at every call, so losses can be compared.
    Several processes share the passes and find the same.

    Args:
        crop: `(H, W)` cut out of the centre of every image; None takes images whole.
    """
    objective = learner.players[0].objective.validated()
    module = learner.module
    total, count, sums = 0.0, 0, {}  # type: float, int, dict[str, float]
    number, processes = strategy.part
    module.eval()
    try:
        height, width = crop or side_range(held_out)[1]
        per_pass = max(1, min(500, PASS_PIXELS // (height * width)))
        for i, batch in enumerate(iter_batches(held_out, batch=per_pass, crop=crop)):
            if i % processes != number:
                continue
            generator = generator_for(learner, step_seed(-1, i))
            labels = None if batch.labels is None else batch.labels.to(generator.device)
            trace = learner.trace(batch.images.to(generator.device), generator, labels)
            per_image, terms = objective(trace)
            total += float(per_image.sum())
            count += len(per_image)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(per_image)
    finally:
        module.train()
    if processes > 1:
        # A process that had no pass knows no names; the objective's are the same everywhere.
        names = [term.name for term in objective.terms]
        own = [total, count, *(sums.get(n, 0.0) for n in names)]
        message = torch.tensor(own, dtype=torch.float64)
        strategy.sum_over_processes([message])
        total, count, *values = message.tolist()
        sums = dict(zip(names, values, strict=True))
    return total / count, {name: value / count for name, value in sums.items()}
