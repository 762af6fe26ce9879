"""The second player: a network that tells real from made, on codes or on images.

Losses are the logistic ones of Goodfellow et al. (2014), non-saturating for the player that is judged.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.axes.point import network_of
from isthmus.model.backbones.interface import Plan
from isthmus.model.bottlenecks.interface import over_batch
from isthmus.model.objective import Term
from isthmus.model.recipe import Recipe
from isthmus.model.trace import Trace


@dataclass(frozen=True)
class Game:
    """The terms that a critic adds to the objectives of the players.

    Attributes:
        encoder: for the encoder, or for encoder and decoder where these are one player.
        decoder: for a decoder that is a player of its own, with the image terms; else None.
        critic: what the critic itself minimises.
    """

    encoder: tuple[Term, ...]
    decoder: tuple[Term, ...] | None
    critic: tuple[Term, ...]


class Critic(nn.Module):
    """The interface of all critics: a network and its game."""

    def game(self) -> Game:
        raise NotImplementedError


def build_critic(recipe: Recipe, plan: Plan) -> Critic | None:
    """The critic that a recipe asks for, or None."""
    if not recipe.critic.judges:
        return None
    made: Critic = network_of(recipe.critic)(recipe.critic, plan)
    return made


class CodeCritic(Critic):
    """Judges a code: a perceptron on a vector, the mean verdict of 1×1 convolutions on a grid."""

    def __init__(self, settings: axes.OnCodes, plan: Plan) -> None:
        super().__init__()
        self.settings = settings
        channels, width = plan.geometry.channels, settings.width
        self.layers = nn.Sequential(
            nn.Linear(channels, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, 1),
        )

    def forward(self, z: Tensor) -> Tensor:
        """`(N, C)` or `(N, C, h, w)` → logits `(N,)` that it came from the prior."""
        rows = z[..., None] if z.ndim == 2 else z.flatten(2)
        verdicts: Tensor = self.layers(rows.transpose(1, 2))  # (N, positions, 1)
        return verdicts.mean((1, 2))

    def game(self) -> Game:
        fool = Term("fool_critic", self.settings.weight, fool_code_critic, validated=False)
        judgement = Term("critic", 1.0, tell_codes_apart, validated=False)
        penalty = Term("critic_slope", self.settings.smooth, keep_code_critic_smooth, validated=False)
        return Game((fool,), None, (judgement, penalty) if self.settings.smooth > 0 else (judgement,))


class ImageCritic(Critic):
    """Judges an image; `features` is the layer in which VAE-GAN compares (Larsen et al. 2016, Dis_l)."""

    def __init__(self, settings: axes.OnImages, plan: Plan) -> None:
        super().__init__()
        self.settings = settings
        channels, width = plan.channels, settings.width
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 3, 1, 1),
        )
        self.verdict = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(4 * width, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` → logits `(N,)` that it is real."""
        return self.judge(self.look(images))

    def look(self, images: Tensor) -> Tensor:
        """The compared features `(N, F, H/4, W/4)`; images below 4 pixels are padded."""
        down, right = max(0, 4 - images.shape[-2]), max(0, 4 - images.shape[-1])
        features: Tensor = self.features(F.pad(images, (0, right, 0, down), mode="replicate"))
        return features

    def judge(self, features: Tensor) -> Tensor:
        verdicts: Tensor = self.verdict(features)
        return verdicts.mean((1, 2, 3))

    def game(self) -> Game:
        match_real = Term("features", self.settings.features, match_features, validated=False)
        fool = Term("fool_critic", self.settings.weight, fool_image_critic, validated=False)
        judgement = Term("critic", 1.0, tell_images_apart, validated=False)
        return Game((match_real,), (match_real, fool), (judgement,))


# ---------------------------------------------------------- terms of a critic on codes (Makhzani et al. 2015)


def _code_critic(trace: Trace) -> CodeCritic:
    assert isinstance(trace.model.critic, CodeCritic)
    return trace.model.critic


def fool_code_critic(trace: Trace) -> Tensor:
    """−log D(z): the encoder's codes should pass for draws from N(0, I)."""
    return F.softplus(-_code_critic(trace)(trace.code.values))


def tell_codes_apart(trace: Trace) -> Tensor:
    """−log D(prior) − log(1 − D(z)): the critic's own loss."""
    critic, z = _code_critic(trace), trace.code.values.detach()
    return F.softplus(-critic(_prior_codes(trace))) + F.softplus(critic(z))


def keep_code_critic_smooth(trace: Trace) -> Tensor:
    """½‖∇D‖² at the prior's and the images' codes (Mescheder et al. 2018, eq. 9 and 10).

    Without it, a critic that is always right pushes all codes to one point.
    """
    critic, total = _code_critic(trace), torch.zeros(len(trace.images), device=trace.images.device)
    for codes in (_prior_codes(trace), trace.code.values):
        points = codes.detach().requires_grad_()
        (slope,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
        total = total + 0.5 * slope.flatten(1).square().sum(1)
    return total


def _prior_codes(trace: Trace) -> Tensor:
    """Draws from N(0, I), as many as codes; made once per pass."""
    if "prior" not in trace.code.parts:
        z = trace.code.values
        trace.code.parts["prior"] = torch.randn(z.shape, generator=trace.generator, device=z.device)
    return trace.code.parts["prior"]


# ---------------------------------------------------------- terms of a critic on images (Larsen et al. 2016)


def _image_critic(trace: Trace) -> ImageCritic:
    assert isinstance(trace.model.critic, ImageCritic)
    return trace.model.critic


def match_features(trace: Trace) -> Tensor:
    """Mean squared distance of reconstruction and image in the critic's features, relative to their scale."""
    critic = _image_critic(trace)
    real = critic.look(trace.images).detach()
    scale = over_batch(real.square().mean()).clamp_min(1e-6)
    return (critic.look(trace.output) - real).square().flatten(1).mean(1) / scale


def fool_image_critic(trace: Trace) -> Tensor:
    """−log D(x̂) − log D(decoded prior): reconstructions and samples should pass for real."""
    critic = _image_critic(trace)
    return F.softplus(-critic(trace.output)) + F.softplus(-critic(prior_samples(trace)))


def tell_images_apart(trace: Trace) -> Tensor:
    """−log D(x) − ½ log(1 − D(x̂)) − ½ log(1 − D(decoded prior)): the critic's own loss."""
    critic = _image_critic(trace)
    made = F.softplus(critic(trace.output.detach())) + F.softplus(critic(prior_samples(trace).detach()))
    return F.softplus(-critic(trace.images)) + 0.5 * made


def prior_samples(trace: Trace) -> Tensor:
    """Decoded draws from N(0, I), as many as images; made once per pass and shared by both players."""
    if "prior_images" not in trace.code.parts:
        z = torch.randn(trace.code.values.shape, generator=trace.generator, device=trace.raw.device)
        trace.code.parts["prior_images"] = trace.model.decode_prior(z, trace.images.shape[-2:])
    return trace.code.parts["prior_images"]
