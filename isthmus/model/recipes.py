"""The named recipes: every classic family as one point of the product space.

Each is a function that returns a `Recipe`; a family is the default recipe with a few axes changed, and the
docstring cites its source. Recipes of articles are exactly their networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from isthmus.errors import Hint, UsageError, nearest
from isthmus.model import axes
from isthmus.model.recipe import Recipe, read_recipe


def dense() -> Recipe:
    """Fully connected layers into a narrow vector (Hinton and Salakhutdinov 2006)."""
    return Recipe(name="dense", code="32", backbone=axes.Dense())


def conv() -> Recipe:
    """The best default: residual convolutions on a space-to-depth stem; vector or grid code, any size."""
    return Recipe(name="conv")


def recurrent() -> Recipe:
    """A GRU reads the rows of an image into a vector and writes them out again (Srivastava et al. 2015)."""
    return Recipe(name="recurrent", code="64", backbone=axes.Recurrent(), positions=axes.Coordinates())


def sparse() -> Recipe:
    """Many units, few of them active: 256 numbers of which 32 are kept (Makhzani and Frey 2013).

    `l1`, `l0` and `kl-sparse` are the other ways.
    """
    return Recipe(name="sparse", code="256", bottleneck=axes.TopK(k=32))


def collapsed() -> Recipe:
    """Convolutions without any positional encoding, code 128; reflected borders: padding leaks one."""
    return Recipe(name="collapsed", code="128", backbone=axes.Conv(padding="reflect"))


def contractive() -> Recipe:
    """The code resists small changes of the image: ‖∂code/∂input‖² is penalised (Rifai et al. 2011)."""
    return Recipe(name="contractive", code="64", backbone=axes.Dense(), bottleneck=axes.Contractive())


def denoising() -> Recipe:
    """Clean images from noisy ones, at any noise level (Vincent et al. 2008; Zhang et al. 2018, 2021).

    A restoration network: it sees the noise level as a map, hands its stages on, and predicts the noise. With
    `backbone.skips=false` and `backbone.predicts=image` it is the classic, with a narrow code.
    """
    return Recipe(
        name="denoising",
        code="128@8",
        backbone=_restorer(),
        corruption=axes.GaussianNoise(sigma=55.0, sigma_low=0.0, condition=True),
        objective=axes.Objective(image="l1"),
        optimiser=axes.Optimiser(rate=1e-3, ema=0.999),
    )


def _restorer() -> axes.Conv:
    return axes.Conv(width=(48, 96, 128), blocks=2, skips=True, predicts="difference", output="linear")


def inpainting() -> Recipe:
    """Whole images from images with pixels, blocks or strokes missing (Pathak et al. 2016; Liu et al. 2018).

    The restoration network of `denoising`, told where the holes are. With `backbone.skips=false` and
    `backbone.predicts=image` it is the classic, with a narrow code.
    """
    return Recipe(
        name="inpainting",
        code="128@8",
        backbone=_restorer(),
        # Known pixels are copied from the input anyway; a loss on them would slow down the training.
        corruption=axes.Mask(
            shape="mixed", amount=0.95, amount_low=0.1, size=32, fill="smooth", loss="missing"
        ),
        objective=axes.Objective(image="l1"),
        optimiser=axes.Optimiser(rate=1e-3, ema=0.999),
    )


def transform_pairs() -> Recipe:
    """Other images from images, learned from pairs: colours, photographs, sharpness (Isola et al. 2017).

    The restoration network of `denoising`: what it adds to the best linear map of patches makes the target.
    The loss is the squared error alone: where many targets fit an input, their mean is learned.
    """
    return Recipe(
        name="transform-pairs",
        code="128@8",
        backbone=_restorer(),
        corruption=axes.Pairs(),
        optimiser=axes.Optimiser(rate=1e-3, ema=0.999),
    )


def variational() -> Recipe:
    """Codes are distributions kept near a standard normal (Kingma and Welling 2014).

    The pull is weighted by β (Higgins et al. 2017).
    """
    return Recipe(
        name="variational",
        code="32",
        bottleneck=axes.Gaussian(warmup=0.1),
        objective=axes.Objective(image="bce"),
    )


def adversarial() -> Recipe:
    """A critic pushes the codes onto a standard normal (Makhzani et al. 2015)."""
    return Recipe(name="adversarial", code="16", critic=axes.OnCodes())


def vae_gan() -> Recipe:
    """A variational autoencoder whose images must also convince a critic (Larsen et al. 2016)."""
    recipe = variational()
    return replace(recipe, name="vae-gan", code="64", critic=axes.OnImages())


def generative() -> Recipe:
    """New images, sharp and varied: principal components, a decoder that draws their detail, and a prior.

    Preechakul et al. 2022; the prior is fitted after the training (Lipman et al. 2023).
    """
    return Recipe(
        name="generative",
        code="128",
        backbone=axes.Components(),
        optimiser=axes.Optimiser(batch=32, weight_decay=0.01, ema=0.998),
    )


def attention() -> Recipe:
    """Patches that attend to one another, a quarter of them hidden in training.

    Dosovitskiy et al. 2021; He et al. 2022.
    """
    return Recipe(
        name="attention",
        backbone=axes.Attention(),
        positions=axes.Sinusoidal(),
        corruption=axes.Mask(shape="patches", amount=0.25, condition=False),
    )


def codec() -> Recipe:
    """A codec for images like yours, all rates in one model (Ballé et al. 2018; Cui et al. 2021)."""
    return Recipe(
        name="codec",
        code="128@16",
        backbone=axes.Conv(
            width=(96, 128),
            blocks=1,
            stem=4,
            start="cosine",
            refines=True,
            activation="leaky",
            output="linear",
        ),
        bottleneck=axes.Entropy(low=0.0018, high=0.0483, context=True),
        optimiser=axes.Optimiser(rate=5e-4),
    )


def features() -> Recipe:
    """Whitened filters of which few win, read out at every pixel (Makhzani, Frey 2015; Coates, Ng 2011).

    For classes, clusters, search and anomalies without labels; the code itself is sparse and wide.
    """
    return Recipe(
        name="features",
        code="256@4",
        backbone=axes.Filters(),
        bottleneck=axes.TopK(k=8),
        optimiser=axes.Optimiser(epochs=1, rate=5e-4),
    )


def defects() -> Recipe:
    """Marks and repairs defects, learned from good images with planted ones (Zavrtanik et al. 2021).

    A U-shaped network with one more output channel, for `anomalies` with the score `segmentation`.
    """
    return Recipe(
        name="defects",
        backbone=axes.Unet(predicts="difference"),
        corruption=axes.SyntheticDefects(),
        objective=axes.Objective(image="l1+10*mask-focal+mask-image"),
        optimiser=axes.Optimiser(rate=2e-3, ema=0.995),
    )


PAIRED_RECIPE = "transform-pairs"  # where targets are given

FAMILIES: dict[str, Callable[[], Recipe]] = {
    "conv": conv,
    "dense": dense,
    "recurrent": recurrent,
    "sparse": sparse,
    "collapsed": collapsed,
    "contractive": contractive,
    "denoising": denoising,
    "inpainting": inpainting,
    "transform-pairs": transform_pairs,
    "variational": variational,
    "adversarial": adversarial,
    "vae-gan": vae_gan,
    "generative": generative,
    "attention": attention,
    "codec": codec,
    "features": features,
    "defects": defects,
}


def article_000() -> Recipe:
    """Collapsed: convolutions 32-64 with pooling, code 128, no positions; for 32×32 colour images.

    Borders are reflected: zeros would show a convolution where the border is.
    """
    backbone = axes.Stacked(width=(32, 64), decoder=(8, 64, 32), down="pool", up="nearest", padding="reflect")
    return Recipe(name="article-000", code="128", backbone=backbone, optimiser=_adam(batch=32, epochs=10))


def article_001() -> Recipe:
    """Fully connected 784-64-32 and 32-64-784, a rectified code of 32 numbers; for generation from codes."""
    return Recipe(
        name="article-001",
        code="32",
        backbone=axes.Dense(width=(64,), decoder=(32, 64)),
        bottleneck=axes.Plain(rectified=True),
        optimiser=_adam(batch=256, epochs=10),
    )


def article_002() -> Recipe:
    """One convolution with pooling, one with repetition, and λ‖z‖² on the rectified grid code between."""
    return Recipe(
        name="article-002",
        code="32@2",
        backbone=axes.Stacked(width=(), decoder=(32,), down="pool", up="nearest"),
        bottleneck=axes.L2(weight=0.01, rectified=True),
        optimiser=_adam(batch=128, epochs=10),
    )


def article_003() -> Recipe:
    """Sparse: strided convolutions with batch normalisation 16-8-32 and back, MSE + λ·L0 (or l1)."""
    backbone = axes.Stacked(width=(16, 8), norm="batch", output="linear")
    return Recipe(
        name="article-003",
        code="32@8",
        backbone=backbone,
        bottleneck=axes.L0(weight=0.1),
        optimiser=_adam(batch=128, epochs=50),
    )


def article_004() -> Recipe:
    """One layer each way around ten rectified numbers; encoder and decoder are used apart."""
    return Recipe(
        name="article-004",
        code="10",
        backbone=axes.Dense(width=()),
        bottleneck=axes.Plain(rectified=True),
        optimiser=_adam(batch=32, epochs=100),
    )


def _adam(*, batch: int, epochs: float) -> axes.Optimiser:
    return axes.Optimiser(
        rate=1e-3, batch=batch, epochs=epochs, beta2=0.999, schedule="constant", warmup=0.0, clip=0.0, ema=0.0
    )


ARTICLES: dict[str, Callable[[], Recipe]] = {
    "article-000": article_000,
    "article-001": article_001,
    "article-002": article_002,
    "article-003": article_003,
    "article-004": article_004,
}

RECIPES = FAMILIES | ARTICLES


def recipe(name: str) -> Recipe:
    """The recipe of that name, or the one in a file `NAME.toml`.

    Raises:
        UsageError: no recipe has this name (the message names the nearest), or the file is not a recipe.

    Examples:
        >>> import isthmus
        >>> isthmus.recipe("variational").code
        '32'
    """
    if name.endswith(".toml"):
        return read_recipe(name)
    if name not in RECIPES:
        raise UsageError(
            "recipe '{name}' is not known{suggestion}",
            id="recipe.unknown",
            hint=Hint.call("list_recipes"),
            name=name,
            suggestion=nearest(name, list(RECIPES)),
        )
    return RECIPES[name]()


def resolve_recipe(
    chosen: str | Recipe, code: str | None = None, settings: Iterable[str] | Mapping[str, Any] = ()
) -> Recipe:
    """The recipe for a name (or a recipe), a code and settings.

    Raises:
        UsageError: an unknown name, setting or value.

    Examples:
        >>> resolve_recipe("dense", "16", ["backbone.width=32"]).code
        '16'
    """
    resolved = recipe(chosen) if isinstance(chosen, str) else chosen
    if code is not None:
        resolved = replace(resolved, code=code)
    return resolved.with_settings(settings)


def summary(name: str) -> str:
    """First line of the recipe's docstring."""
    return (RECIPES[name].__doc__ or "").strip().splitlines()[0]
