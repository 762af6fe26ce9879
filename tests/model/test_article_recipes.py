"""Each article recipe is the network its article describes: layer by layer, and counted by hand."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.recipes import ARTICLES, FAMILIES, RECIPES, recipe

from .cases import generator, model_of, pictures

SIZES = {"000": (32, 3), "001": (28, 1), "002": (28, 1), "003": (32, 3), "004": (28, 1)}
LAYERS = nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.MaxPool2d | nn.Upsample | nn.BatchNorm2d

# After each layer: height × width × channels, as the articles' Keras code would print them.
SHAPES = {
    "000": [(32, 32, 32), (16, 16, 32), (16, 16, 64), (8, 8, 64), (128,), (512,), (8, 8, 64), (16, 16, 64),
            (16, 16, 32), (32, 32, 32), (32, 32, 3)],
    "001": [(64,), (32,), (32,), (64,), (784,)],
    "002": [(28, 28, 32), (14, 14, 32), (14, 14, 32), (28, 28, 32), (28, 28, 1)],
    "003": [(16, 16, 16), (16, 16, 16), (8, 8, 8), (8, 8, 8), (4, 4, 32), (4, 4, 32),
            (8, 8, 8), (8, 8, 8), (16, 16, 16), (16, 16, 16), (32, 32, 3)],
    "004": [(10,), (784,)],
}  # fmt: skip

# weights + biases of each layer in turn; batch normalisation has a gain and a shift per channel.
PARAMETERS = {
    "000": (3 * 9 * 32 + 32) + (32 * 9 * 64 + 64) + (8 * 8 * 64 * 128 + 128) + (128 * 512 + 512)
    + (8 * 9 * 64 + 64) + (64 * 9 * 32 + 32) + (32 * 9 * 3 + 3),
    "001": (784 * 64 + 64) + (64 * 32 + 32) + (32 * 32 + 32) + (32 * 64 + 64) + (64 * 784 + 784),
    "002": (9 * 32 + 32) + (32 * 9 * 32 + 32) + (32 * 9 + 1),
    "003": (3 * 9 * 16 + 16) + 2 * 16 + (16 * 9 * 8 + 8) + 2 * 8 + (8 * 9 * 32 + 32) + 2 * 32
    + (32 * 9 * 8 + 8) + 2 * 8 + (8 * 9 * 16 + 16) + 2 * 16 + (16 * 9 * 3 + 3),
    "004": (784 * 10 + 10) + (10 * 784 + 784),
}  # fmt: skip

CODES = {"000": (128,), "001": (32,), "002": (32, 14, 14), "003": (32, 4, 4), "004": (10,)}


def built(number: str) -> Autoencoder:
    """The network itself: gates of `l0` are a second half of the last convolution, and counted apart."""
    chosen = recipe(f"article-{number}")
    if number == "003":
        chosen = chosen.with_settings(["bottleneck=l1"])
    side, channels = SIZES[number]
    return model_of(chosen, (side, side), channels).eval()


def shapes(model: Autoencoder) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []

    def note(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        shape = tuple(output.shape[1:])
        shapes.append((*shape[1:], shape[0]) if len(shape) == 3 else shape)

    # The decoder's first linear layer is the one module of a class of its own.
    for module in model.modules():
        if isinstance(module, LAYERS) or type(module).__name__ == "Entry":
            module.register_forward_hook(note)
    model.reconstruct(pictures(2, model.size, model.channels))
    return shapes


@pytest.mark.parametrize("number", SHAPES)
def test_layers_have_the_shapes_of_the_article(number: str) -> None:
    assert shapes(built(number)) == SHAPES[number]


@pytest.mark.parametrize("number", PARAMETERS)
def test_parameters_are_those_counted_by_hand(number: str) -> None:
    model = built(number)
    parts = (model.encoder, model.decoder)
    assert sum(p.numel() for part in parts for p in part.parameters()) == PARAMETERS[number]


@pytest.mark.parametrize("number", CODES)
def test_codes_have_the_size_of_the_article_and_are_rectified_where_it_says_so(number: str) -> None:
    model = built(number)
    code = model.encode(pictures(64, model.size, model.channels))
    assert tuple(code.values.shape[1:]) == CODES[number]
    assert bool((code.values >= 0).all()) == (number != "000")


def test_gates_of_article_003_double_only_the_layer_before_the_code() -> None:
    gated = model_of(recipe("article-003"), (32, 32), 3)
    count = sum(p.numel() for part in (gated.encoder, gated.decoder) for p in part.parameters())
    assert count - PARAMETERS["003"] == (8 * 9 * 32 + 32) + 2 * 32
    assert isinstance(gated.recipe.bottleneck, axes.L0)


@pytest.mark.parametrize(
    ("number", "batch", "epochs", "output"),
    [
        ("000", 32, 10, "sigmoid"),
        ("001", 256, 10, "sigmoid"),
        ("002", 128, 10, "sigmoid"),
        ("003", 128, 50, "linear"),
        ("004", 32, 100, "sigmoid"),
    ],
)
def test_training_is_keras_adam_on_squared_error(number: str, batch: int, epochs: int, output: str) -> None:
    chosen = recipe(f"article-{number}")
    adam = chosen.optimiser
    assert (adam.name, adam.rate, adam.momentum, adam.beta2, adam.weight_decay) == (
        "adamw",
        1e-3,
        0.9,
        0.999,
        0,
    )
    assert (adam.schedule, adam.warmup, adam.clip, adam.ema) == ("constant", 0, 0, 0)
    assert (adam.batch, adam.epochs) == (batch, epochs)
    assert (chosen.objective.image, chosen.backbone.output) == ("mse", output)
    assert isinstance(chosen.positions, axes.NoPositions)


@pytest.mark.parametrize(("number", "weight"), [("002", 0.3), ("003", 0.3)])
def test_lambda_means_what_the_articles_formula_means(number: str, weight: float) -> None:
    """Ours is (‖x − x̂‖² + λ·penalty) / pixels: their sum, divided by a constant."""
    from isthmus.training.players import players_of

    chosen = recipe(f"article-{number}").with_settings([f"bottleneck.weight={weight}"])
    if number == "003":
        chosen = chosen.with_settings(["bottleneck=l1", f"bottleneck.weight={weight}"])
    side, channels = SIZES[number]
    model = model_of(chosen, (side, side), channels).eval()
    images = pictures(3, (side, side), channels)
    trace = model.trace(images, generator(), sample=False)
    loss, _ = players_of(model)[0].objective(trace)
    z = trace.code.values.flatten(1)
    penalty = z.square().sum(1) if number == "002" else z.abs().sum(1)
    theirs = (images - trace.output).square().flatten(1).sum(1) + weight * penalty
    assert (loss * images[0].numel()).tolist() == pytest.approx(theirs.tolist(), rel=1e-5)


def test_articles_stand_after_the_families() -> None:
    assert list(RECIPES) == [*FAMILIES, *ARTICLES]
    assert list(ARTICLES) == [f"article-{number}" for number in SIZES]
