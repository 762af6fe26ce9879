"""What the descriptions ask and leave open, each answered by one table under equal budgets."""

from __future__ import annotations

import numpy as np
from data import mnist, on_canvas
from generation import SAMPLES, FittedGaussian, realism
from study import Study

import isthmus
from isthmus.reports.charts import draw_bars
from isthmus.reports.image_sheets import draw_image_rows

BUDGETS = (12, 30)  # seconds of one core
PRECISION = {"dense": "float32", "recurrent": "float32", "conv": "bfloat16", "attention": "bfloat16"}


def kinds(study: Study) -> None:
    """Dense, convolutional and recurrent networks around 32 numbers, as long each on one core."""
    data, test = mnist()
    for seconds in BUDGETS:
        for name in ("dense", "conv", "recurrent"):
            recipe = isthmus.recipe(name).with_settings(["code=32"])
            budget = {"core_seconds": seconds, "precision": PRECISION[name]}
            study.model(f"{name} {seconds} s", data, test, recipe, **budget)


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
    for name, recipe in recipes.items():
        thin = recipe.with_settings(["code=16", "backbone.width=16", "objective.image=bce"])
        model = study.model(name, data, test, thin, core_seconds=120, precision="bfloat16")
        codes = np.asarray(model.encode(data.stack(range(0, len(data), 6))))
        normal = np.random.default_rng(0).standard_normal((SAMPLES, 16), dtype=np.float32)
        fitted = FittedGaussian.of(codes).draw(SAMPLES, 0)
        for prior, values in {"standard normal": normal, "fitted Gaussian": fitted}.items():
            made = np.asarray(model.decode(values))
            if f"{name} from {prior}" not in study.cells:
                study.keep(f"{name} from {prior}", realism(made, real))
            shown.append((f"{name}, codes from a {prior}", made[:10]))
    study.picture("article-generative.png", draw_image_rows(shown, columns=10))


def positions(study: Study) -> None:
    """With and without positions, on digits that lie anywhere and on the same digits in the middle."""
    data, test = mnist()
    shown = []
    for place in ("scattered", "centred"):
        parts = [
            on_canvas(part, side=40, scattered=place == "scattered", seed=seed)
            for seed, part in enumerate((data, test))
        ]
        for where in ("none", "coordinates", "sinusoidal"):
            settings = ["backbone.width=16", "backbone.blocks=1", "code=32", f"positions={where}"]
            recipe = isthmus.recipe("collapsed").with_settings(settings)
            model = study.model(f"{place} {where}", *parts, recipe, steps=300, precision="bfloat16")
            if place == "scattered":
                some = parts[1].stack(range(0, 1000, 100))
                shown += [("scattered digits, unseen", some)] if not shown else []
                shown.append((f"collapsed, positions {where}", model.reconstruct(some)))
    study.picture("article-positions.png", draw_image_rows(shown, columns=10))


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
    order = np.random.default_rng(0).permutation(len(data))
    options = {"steps": 600, "validation": 0, "precision": "float32"}
    for size in SIZES:
        some = data.subset(order[:size])
        for name, settings in PENALTIES.items():
            recipe = isthmus.recipe("dense").with_settings(["code=64", *settings])
            study.model(f"{name}, {size} images", some, test, recipe, **options)
    few = {name: study.cells[f"{name}, {SIZES[0]} images"]["clean_mse"] for name in PENALTIES}
    label = f"squared error on unseen images, {SIZES[0]} training images"
    study.picture("article-overfitting.png", draw_bars(few, label=label))


DEPTHS = {
    "dense, 1 hidden layer": ("dense", "backbone.width=512"),
    "dense, 4 hidden layers": ("dense", "backbone.width=512-512-256-256"),
    "stacked, 2 convolutions": ("conv", "backbone=stacked", "backbone.width=32-64"),
    "conv, 1 block a stage": ("conv", "backbone.blocks=1"),
    "conv, 4 blocks a stage": ("conv", "backbone.blocks=4"),
    "attention, 1 block": ("attention", "corruption=none", "backbone.depth=1"),
}


def depth(study: Study) -> None:
    """What more layers and attention bring: as many images each, around 32 numbers."""
    data, test = mnist()
    for name, (recipe, *settings) in DEPTHS.items():
        chosen_recipe = isthmus.recipe(recipe).with_settings([*settings, "code=32"])
        study.model(name, data, test, chosen_recipe, steps=1500, precision=PRECISION[recipe])
