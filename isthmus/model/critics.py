"""The second player: a network that tells real from made, on codes or on images.

`PatchCritic` judges places of an image and mixtures of codes.
Losses are the logistic ones of Goodfellow et al. (2014), non-saturating for the player that is judged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.metrics.structure import blur_gaussian
from isthmus.model import axes
from isthmus.model.axes.point import network_of
from isthmus.model.backbones.interface import Plan
from isthmus.model.bottlenecks.interface import over_batch
from isthmus.model.objective import Term
from isthmus.model.recipe import Recipe
from isthmus.model.trace import Trace


@dataclass(frozen=True)
class Game:
    """What a critic adds to the objectives of the players.

    Attributes:
        encoder: to the encoder's, or to that of encoder and decoder where these are one player.
        decoder: to the image terms of a decoder that is a player of its own; None where it is none.
        critic: what the critic itself minimises.
    """

    encoder: tuple[Term, ...]
    decoder: tuple[Term, ...] | None
    critic: tuple[Term, ...]


class Critic(nn.Module):
    """What every critic agrees on: a network with a game to play."""

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

    Without it a critic that is sure of itself throws all codes onto one point.
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


SMOOTHED_SHARE = 4  # of one in so many images the slope is penalised: it costs three passes
MIN_SIDE_PX = 8
# Beside the image the critic is shown its detail, enlarged: it then tells sharp from smooth after tens of
# steps; from the image alone it takes hundreds, in which a decoder learns to evade it.
DETAIL_FACTOR = 5.0
MAX_FACTOR = 1e4  # by which a verdict's pull is enlarged


class PatchCritic(Critic):
    """Three halvings; a verdict for every position, each of a patch of 38 pixels."""

    def __init__(self, settings: axes.OnPatches, plan: Plan) -> None:
        super().__init__()
        self.settings = settings
        width = settings.width
        self.stages = nn.ModuleList(
            (
                nn.Conv2d(2 * plan.channels, width, 4, 2, 1),
                nn.Conv2d(width, 2 * width, 4, 2, 1),
                nn.Conv2d(2 * width, 4 * width, 4, 2, 1),
                nn.Conv2d(4 * width, 4 * width, 3, 1, 1),
            )
        )
        self.verdict = nn.Conv2d(4 * width, 1, 1)
        # PyTorch's own first weights shrink what passes: the verdicts would begin a hundred times too alike.
        for stage in self.stages:
            assert isinstance(stage, nn.Conv2d) and stage.bias is not None
            nn.init.kaiming_normal_(stage.weight, 0.2)
            nn.init.zeros_(stage.bias)

    def forward(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` → logits `(N, positions)` that each patch is real."""
        return self.judge(self.look(images))

    def look(self, images: Tensor) -> list[Tensor]:
        """Features `(N, F, h, w)` of every stage; images below 8 pixels are padded."""
        down, right = (max(0, MIN_SIDE_PX - side) for side in images.shape[-2:])
        padded = F.pad(images, (0, right, 0, down), mode="replicate")
        detail = DETAIL_FACTOR * (padded - blur_gaussian(padded, 1.0))
        h, features = torch.cat([padded - 0.5, detail], 1), []
        for stage in self.stages:
            h = F.leaky_relu(stage(h), 0.2)
            features.append(h)
        return features

    def judge(self, features: list[Tensor]) -> Tensor:
        verdicts: Tensor = self.verdict(features[-1])
        return verdicts.flatten(1)

    def game(self) -> Game:
        settings = self.settings
        terms = (
            Term("features", settings.features, match_stages, validated=False),
            Term("fool_critic", settings.weight, fool_patch_critic, warmup=0.2, validated=False),
        )
        judgement = Term("critic", 1.0, tell_patches_apart, validated=False)
        slope = Term("critic_slope", settings.smooth, keep_patch_critic_smooth, validated=False)
        return Game(terms, None, (judgement, slope) if settings.smooth > 0 else (judgement,))


def _critic(trace: Trace) -> PatchCritic:
    assert isinstance(trace.model.critic, PatchCritic)
    return trace.model.critic


def _look(trace: Trace, name: str, images: Tensor) -> list[Tensor]:
    """The critic's features of images, found once per pass and shared by the terms of both players."""
    critic, parts = _critic(trace), trace.code.parts
    if f"critic.{name}.0" not in parts:
        parts |= {f"critic.{name}.{i}": stage for i, stage in enumerate(critic.look(images))}
    return [parts[f"critic.{name}.{i}"] for i in range(len(critic.stages))]


def match_stages(trace: Trace) -> Tensor:
    """Mean absolute distance of output and image in each stage's features, relative to their scale."""
    total = torch.zeros(len(trace.images), device=trace.images.device)
    pairs = zip(_look(trace, "real", trace.images), _look(trace, "made", trace.output), strict=True)
    for real, made in pairs:
        target = real.detach()
        scale = target.abs().flatten(1).mean(1).clamp_min(1e-6)
        total = total + (made - target).abs().flatten(1).mean(1) / scale
    return total / len(_critic(trace).stages)


def fool_patch_critic(trace: Trace) -> Tensor:
    """−log D of every patch, scaled so that it pulls at each output as hard as its squared error."""
    critic = _critic(trace)
    verdicts = critic.judge(_look(trace, "made", trace.output))
    error = (2 / trace.pixels) * (trace.output - trace.images).detach().flatten(1).norm(dim=1)
    fooled = _scale_pull(F.softplus(-verdicts).mean(1), trace.output, error)
    if not critic.settings.mixed:
        return fooled
    mixed = mixed_images(trace)
    more = _scale_pull(F.softplus(-critic(mixed)).mean(1), mixed, error[: len(mixed)])
    return fooled + F.pad(more, (0, len(fooled) - len(more)))


def _scale_pull(loss: Tensor, images: Tensor, norms: Tensor) -> Tensor:
    """The loss of each image, so that its gradient has the norm `norms (N,)` at this image."""
    (pull,) = torch.autograd.grad(loss.sum(), images, retain_graph=True)
    factor = norms / pull.flatten(1).norm(dim=1).clamp_min(1e-12)
    scaled: Tensor = loss * factor.clamp_max(MAX_FACTOR)
    return scaled


def mixed_images(trace: Trace) -> Tensor:
    """Decoded mixtures of the codes of two images of one class each, for half of the batch.

    About their class's mean, codes a and b become a cos θ + b sin θ, as far from the mean as they are: what
    a prior draws, that is not exact. Made once per pass and shared by both players.
    """
    parts = trace.code.parts
    if "mixed" not in parts:
        z, count = trace.code.values, -(-len(trace.images) // 2)
        labels = torch.zeros(len(z), dtype=torch.int64) if trace.labels is None else trace.labels
        same = (labels[:, None] == labels[None]).to(z.dtype)
        mean = (same @ z.flatten(1) / same.sum(1, keepdim=True)).view_as(z)
        partner = torch.multinomial(same[:count], 1, generator=trace.generator)[:, 0]
        angle = torch.rand(count, generator=trace.generator, device=z.device) * (math.pi / 2)
        angle = angle.view(-1, *(1,) * (z.ndim - 1))
        offset = z - mean
        codes = mean[:count] + angle.cos() * offset[:count] + angle.sin() * offset[partner]
        parts["mixed"] = trace.model.decode_prior(codes, trace.images.shape[-2:])
    return parts["mixed"]


def tell_patches_apart(trace: Trace) -> Tensor:
    """−log D(x) − log(1 − D(x̂)), a mean over patches: the critic's own loss."""
    critic = _critic(trace)
    real = critic.judge(_look(trace, "real", trace.images))
    made = critic(trace.output.detach())
    rejected = F.softplus(made).mean(1)
    if critic.settings.mixed:
        mixed = F.softplus(critic(mixed_images(trace).detach())).mean(1)
        rejected = (rejected + F.pad(mixed, (0, len(rejected) - len(mixed)))) * (2 / 3)
    return F.softplus(-real).mean(1) + rejected


def keep_patch_critic_smooth(trace: Trace) -> Tensor:
    """½‖∇D‖² at real images, of a part of the batch in place of all."""
    count = -(-len(trace.images) // SMOOTHED_SHARE)
    at = trace.images[:count].detach().requires_grad_()
    (slope,) = torch.autograd.grad(_critic(trace)(at).mean(1).sum(), at, create_graph=True)
    penalty = 0.5 * slope.flatten(1).square().sum(1) * (len(trace.images) / count)
    return torch.cat([penalty, penalty.new_zeros(len(trace.images) - count)])
