"""The objective on images that the training does not see."""

from __future__ import annotations

import torch

from isthmus.images.batches import iter_batches
from isthmus.images.store import ImageSet
from isthmus.training.choose import sides
from isthmus.training.distributed import Processes
from isthmus.training.player import Learner
from isthmus.training.seeds import step_seed

PASS_PIXELS = 2**21  # pixel-channels in one pass


@torch.no_grad()
def validation_loss(
    learner: Learner,
    held_out: ImageSet,
    *,
    crop: tuple[int, int] | None,
    processes: Processes,
    device: torch.device,
) -> tuple[float, dict[str, float]]:
    """The first player's whole objective on the held-out images, at full weights, and its terms.

    The noise of corruptions and stochastic codes is the same at every call, so losses can be compared.
    Several processes share the passes and find the same.
    """
    objective = learner.players[0].objective.validated()
    module = learner.module
    total, count, sums = 0.0, 0, {}  # type: float, int, dict[str, float]
    number, of = processes.number, processes.count
    module.eval()
    try:
        height, width = crop or sides(held_out)[1]
        per_pass = max(1, min(500, PASS_PIXELS // (height * width)))
        for i, batch in enumerate(iter_batches(held_out, batch=per_pass, crop=crop)):
            if i % of != number:
                continue
            generator = torch.Generator(device=device).manual_seed(step_seed(-1, i))
            labels = None if batch.labels is None else batch.labels.to(device)
            trace = learner.trace(batch.images.to(device), generator, labels)
            per_image, parts = objective(trace)
            total += float(per_image.sum())
            count += len(per_image)
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(per_image)
    finally:
        module.train()
    if of > 1:
        # A process that had no pass knows no names; the objective's are the same everywhere.
        names = [term.name for term in objective.terms]
        told = torch.tensor([total, count, *(sums.get(n, 0.0) for n in names)], dtype=torch.float64)
        processes.add_up([told])
        total, count, *values = told.tolist()
        sums = dict(zip(names, values, strict=True))
    return total / count, {name: value / count for name, value in sums.items()}
