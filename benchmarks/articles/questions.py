"""What the descriptions ask and leave open, each answered by one table under equal budgets."""

from __future__ import annotations

import numpy as np
from data import mnist, on_canvas
from generation import SAMPLES, FittedGaussian, realism
from study import Study

import isthmus
from isthmus.evaluate.pictures import before_after, curves

SEEDS = (0, 1, 2)
CORE_SECONDS = 12
PRECISION = {"dense": "float32", "recurrent": "float32", "conv": "bfloat16", "attention": "bfloat16"}


def kinds(study: Study) -> None:
    """Dense, convolutional and recurrent networks around 32 numbers, as long each on one core."""
    data, test = mnist()
    for seed in SEEDS:
        for name in ("dense", "conv", "recurrent"):
            recipe = isthmus.recipe(name).with_settings(["code=32"])
            budget = {"core_seconds": CORE_SECONDS, "precision": PRECISION[name]}
            study.model(name, data, test, recipe, seed=seed, **budget)


def generative(study: Study) -> None:
    """Autoencoder, variational, adversarial: the same network and time, 16 numbers."""
    data, test = mnist()
    real = test.stack(range(0, len(test), len(test) // SAMPLES)).astype(np.float32)[:SAMPLES] / 255
    shown = []
    recipes = {
        "autoencoder": isthmus.recipe("conv"),
        "variational": isthmus.recipe("variational"),
        "adversarial": isthmus.recipe("adversarial"),
    }
    for seed in SEEDS[:1]:
        for name, recipe in recipes.items():
            thin = recipe.with_settings(["code=16", "backbone.width=16", "objective.image=bce"])
            budget = {"core_seconds": 2 * CORE_SECONDS, "precision": "bfloat16"}
            model = study.model(name, data, test, thin, seed=seed, **budget)
            codes = np.asarray(model.encode(data.stack(range(0, len(data), 6))))
            normal = np.random.default_rng(seed).standard_normal((SAMPLES, 16), dtype=np.float32)
            drawn = {
                "standard normal": normal,
                "fitted Gaussian": FittedGaussian.of(codes).draw(SAMPLES, seed),
            }
            for prior, values in drawn.items():
                made = np.asarray(model.decode(values))
                key = f"{name} from {prior}" + (f", seed {seed}" if seed else "")
                if key not in study.cells:
                    study.keep(key, realism(made, real))
                if seed == 0:
                    shown.append((f"{name}, codes from a {prior}", made[:10]))
    study.picture("article-generative.png", before_after(shown, columns=10))


POSITIONS = {"collapsed": ("none", "coordinates", "sinusoidal"), "recurrent": ("none", "coordinates")}


def positions(study: Study) -> None:
    """With and without positions, on digits that lie anywhere and on the same digits in the middle."""
    data, test = mnist()
    nets = {
        "collapsed": ["backbone.width=16", "backbone.blocks=1", "code=32"],
        "recurrent": ["code=32", "backbone.width=128"],
    }
    shown = []
    for place in ("scattered", "centred"):
        parts = [
            on_canvas(part, side=40, scattered=place == "scattered", seed=seed)
            for seed, part in enumerate((data, test))
        ]
        for net, settings in nets.items():
            for where in POSITIONS[net]:
                recipe = isthmus.recipe(net).with_settings([*settings, f"positions={where}"])
                name = f"{place} {net} {where}"
                precision = "bfloat16" if net == "collapsed" else "float32"
                model = study.model(name, *parts, recipe, steps=400, precision=precision)
                if place == "scattered" and net == "collapsed" and where != "sinusoidal":
                    some = parts[1].stack(range(0, 1000, 100))
                    shown += [("scattered digits, unseen", some)] if not shown else []
                    shown.append((f"{net}, positions {where}", model.reconstruct(some)))
    study.picture("article-positions.png", before_after(shown, columns=10))


PENALTIES = {
    "none": (),
    "code λ‖z‖²": ("bottleneck=l2", "bottleneck.weight=0.1"),
    "weight decay": ("optimiser.weight_decay=0.3",),
    "noise on the input": ("corruption=gaussian", "corruption.sigma=50"),
}
SIZES = (300, 2000, 16000)


def overfitting(study: Study) -> None:
    """Error on training and on unseen images, by the number of training images and by what holds it back."""
    data, test = mnist()
    for seed in SEEDS[:2]:
        order = np.random.default_rng(seed).permutation(len(data))
        for name, settings in PENALTIES.items():
            for size in SIZES:
                recipe = isthmus.recipe("dense").with_settings(["code=64", *settings])
                study.model(
                    f"{name}, {size} images",
                    data.subset(order[:size]),
                    test,
                    recipe,
                    seed=seed,
                    steps=1500,
                    validation=0,
                    precision="float32",
                )
    series = {}
    for name in ("none", "noise on the input"):
        for what, key in (("unseen", "clean_mse"), ("training", "train_mse")):
            if not (name != "none" and what == "training"):
                points = [(float(size), study.means(f"{name}, {size} images", key)[0]) for size in SIZES]
                series[f"{name}: {what}"] = points
    study.picture(
        "article-overfitting.png",
        curves(series, x_label="training images", y_label="squared error", log=True),
    )


DEPTHS = {
    "dense, 1 hidden layer": ("dense", "backbone.width=512"),
    "dense, 4 hidden layers": ("dense", "backbone.width=512-512-256-256"),
    "stacked, 2 convolutions": ("conv", "backbone=stacked", "backbone.width=32-64"),
    "conv, 1 block a stage": ("conv", "backbone.blocks=1"),
    "conv, 2 blocks a stage": ("conv", "backbone.blocks=2"),
    "conv, 4 blocks a stage": ("conv", "backbone.blocks=4"),
    "attention, 3 blocks": ("attention", "corruption=none", "backbone.depth=3"),
}


def depth(study: Study) -> None:
    """What more layers and attention bring: as long each on one core, around 32 numbers."""
    data, test = mnist()
    for name, (recipe, *settings) in DEPTHS.items():
        asked = isthmus.recipe(recipe).with_settings([*settings, "code=32"])
        study.model(name, data, test, asked, core_seconds=CORE_SECONDS, precision=PRECISION[recipe])
