"""Costs of a bottleneck and the use of its units, gathered over a set of images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.errors import CapabilityError
from isthmus.metrics.codes import CodeStatistics, code_statistics
from isthmus.metrics.pixel_metrics import log_mean_exp
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.axes.point import resolve
from isthmus.model.image_terms import ImageTerm
from isthmus.model.recipe import Recipe
from isthmus.model.tensors import apply_range
from isthmus.model.trace import Trace

MAX_ROWS = 20_000


class CodeUse:
    """Gathers code numbers; a unit is a number of a vector code, or a channel of a grid code.

    Args:
        model: whose codes they are.
        images: how many there will be, so that rows kept of grid codes are spread over all of them.
    """

    def __init__(self, model: Autoencoder, images: int) -> None:
        self.model, self.images = model, images
        self._rows: list[Tensor] = []
        self._live: Tensor | None = None
        self._every = 0
        self._nonzero = 0
        self._count = 0
        self._scores: dict[str, float] = {}

    @torch.no_grad()
    def add(self, trace: Trace, pixels: int) -> None:
        """One pass with deterministic codes.

        Args:
            pixels: height times width of one image as the user gave it.
        """
        values = trace.code.values.detach()
        count = len(values)
        rows = values.flatten(2).movedim(1, 2).flatten(0, 1) if values.ndim > 2 else values  # (n, units)
        self._every = self._every or max(1, self.images * (len(rows) // count) // MAX_ROWS)
        self._rows.append(rows[:: self._every].float().cpu())
        nonzero = rows != 0
        self._nonzero += int(nonzero.sum())
        live = nonzero.any(0).cpu()
        self._live = live if self._live is None else self._live | live
        self._count += count
        bottleneck, facts = self.model.bottleneck, self.model.recipe.bottleneck
        if facts.is_stochastic:
            self._add("kl", bottleneck.kl_per_unit(trace.code).sum())
        if facts.has_rate:
            nats = bottleneck.rate(trace.code).sum()
            self._add("rate_nats", nats)
            self._add("rate_bpp", nats / (math.log(2) * pixels))

    def metrics(self) -> dict[str, float]:
        """Metrics of the bottleneck itself: means per image, and counts of units.

        - `kl`: nats from the standard normal; `active_units`: of a gaussian code, those whose mean has a
          variance above 0.01 over images (Burda et al. 2016).
        - `nonzero`, `dead_units`: of a sparse code, numbers that are not 0 per image, and units that are 0
          for every image.
        - `rate_nats`, `rate_bpp`: of an entropy-coded one, as estimated in training.
        """
        metrics = {name: value / self._count for name, value in self._scores.items()}
        if self.model.recipe.bottleneck.is_stochastic:
            metrics["active_units"] = self.statistics().active_units
        if self.model.recipe.bottleneck.is_sparse:
            assert self._live is not None
            metrics["nonzero"] = self._nonzero / self._count
            metrics["dead_units"] = int((~self._live).sum())
        return metrics

    def statistics(self) -> CodeStatistics:
        """Of at most about 20,000 rows, one per image, or one per position of a grid."""
        return code_statistics(torch.cat(self._rows))

    def variances(self) -> Tensor:
        """`(units,)`: of each unit over the rows."""
        return torch.cat(self._rows).var(0, correction=0)

    def _add(self, name: str, value: Tensor) -> None:
        self._scores[name] = self._scores.get(name, 0.0) + float(value)


@dataclass(frozen=True)
class LikelihoodBounds:
    """Nats per image, `(N,)` each: `elbo` is a lower bound of ln p(x), `nll` an upper bound of −ln p(x)."""

    elbo: Tensor
    nll: Tensor


def likelihood_term(recipe: Recipe) -> ImageTerm | None:
    """The image term when it is a likelihood by itself (`bce` or `gaussian-nll`), else None."""
    terms = recipe.objective.terms
    return terms[0] if len(terms) == 1 and terms[0].is_likelihood else None


@torch.no_grad()
def image_nats(model: Autoencoder, raw: Tensor, images: Tensor) -> Tensor:
    """−ln p(x|z) of each image `(N,)`, as the recipe's likelihood term has it.

    Args:
        raw: `(N, C, H, W)` the decoder's last layer.
        images: `(N, C, H, W)`.

    Raises:
        CapabilityError: the recipe's image term is no likelihood.
    """
    term = likelihood_term(model.recipe)
    if term is None:
        raise CapabilityError(
            "objective.image={objective} is no likelihood of images",
            id="evaluation.no-likelihood",
            objective=model.recipe.objective.image,
        )
    output = apply_range(raw, model.recipe.backbone.output)
    nats: Tensor = resolve(term.nats)(raw, output, model.noise_log_sigma, images)
    return nats


@torch.no_grad()
def estimate_likelihood(
    model: Autoencoder, trace: Trace, samples: int, generator: torch.Generator
) -> LikelihoodBounds:
    """ELBO and importance-weighted bound from `samples` codes per image.

    ELBO = E_q[ln p(x|z)] − KL(q‖p) with the divergence in closed form (Kingma and Welling 2014, eq. 3).
    −ln p(x) ≤ −ln (1/K) Σₖ p(x|zₖ) p(zₖ)/q(zₖ|x) (Burda, Grosse and Salakhutdinov 2016, eq. 8), tighter with
    every sample. A corrupted input only makes a worse proposal q; both stay bounds for the clean image.

    Args:
        trace: a pass of this gaussian model at the images' own size.
        samples: K, at least 1.
    """
    mean, log_variance = trace.code.parts["mean"], trace.code.parts["log_variance"]
    size = (trace.images.shape[-2], trace.images.shape[-1])
    log_images, log_weights = [], []
    for _ in range(samples):
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        z = mean + (0.5 * log_variance).exp() * noise
        log_image = -image_nats(model, model.decode_raw(z, size, []), trace.images)
        # ln p(z) − ln q(z|x): the two normalising constants cancel.
        prior = 0.5 * (noise.square() + log_variance - z.square()).flatten(1).sum(1)
        log_images.append(log_image)
        log_weights.append((log_image + prior).double())
    divergence = model.bottleneck.kl_per_unit(trace.code).sum(1)
    elbo = torch.stack(log_images).mean(0) - divergence
    return LikelihoodBounds(elbo, -log_mean_exp(torch.stack(log_weights), 0))
