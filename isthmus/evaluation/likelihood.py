"""How probable images are to a variational model: the ELBO, and a tighter bound by importance sampling."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.errors import CapabilityError
from isthmus.metrics.bits import log_mean_exp
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.image_terms import ImageTerm
from isthmus.model.networks import resolve
from isthmus.model.recipe import Recipe
from isthmus.model.terms import apply_range
from isthmus.model.trace import Trace


@dataclass(frozen=True)
class Estimate:
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
def estimate(model: Autoencoder, trace: Trace, samples: int, generator: torch.Generator) -> Estimate:
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
    return Estimate(elbo, -log_mean_exp(torch.stack(log_weights), 0))
