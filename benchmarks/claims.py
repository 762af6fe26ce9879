"""What each family is known for, measured against its plain twin: the same network, data, budget and seed.

    python benchmarks/claims.py                    all of them: eighteen trainings, one after the other
    python benchmarks/claims.py sparse attention   some of them
    python benchmarks/claims.py --minutes 0.1      a quick look that every one runs
    python benchmarks/claims.py --steps 100        a length that does not depend on the machine

Trained on the training split (a part held out to validate on), seed 0 unless `--seed` is given; numbers are
of the test split, which is looked at once. Every line says what is claimed, what was found, and whether that
is enough.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from claim_bench import Bench, Line, measured, some, test_set
from sensitivity import sensitivity
from torch import Tensor

import isthmus
from isthmus.evaluation.passes import iter_passes
from isthmus.metrics.set_distances import nearest_neighbour_accuracy, squared_mmd
from isthmus.metrics.structure import high_frequency_energy
from isthmus.model.autoencoder import Autoencoder
from isthmus.reports.image_sheets import draw_image_rows

SMALL = ("backbone.width=16", "backbone.blocks=1")  # a conv net that two minutes go far with
ROWS = 2000  # of codes, where all pairs are compared


# ---------------------------------------------------------------- sparse: few units say as much


def sparse(bench: Bench) -> list[Line]:
    plain = bench.train("conv", "256", SMALL)
    base = measured(plain).mse
    lines = []
    for kind, settings in {
        "top-k": ("bottleneck.k=85",),
        "l1": ("bottleneck=l1", "bottleneck.weight=0.0003"),
        "l0": ("bottleneck=l0", "bottleneck.active=80"),
    }.items():
        model = bench.train("sparse", "256", (*SMALL, *settings))
        scores = measured(model)
        numbers = scores.use.metrics()
        cost = scores.mse / base - 1
        lines.append(
            Line(
                f"sparse ({kind})",
                "at the plain code's error (within 2 %), at least 3 times fewer units that are not exactly 0",
                f"{numbers['nonzero']:.1f} of 256 not 0, {numbers['dead_units']:.0f} never used; "
                f"MSE {scores.mse:.5f}, plain {base:.5f} ({cost:+.1%})",
                numbers["nonzero"] <= 256 / 3 and cost <= 0.02,
                {
                    "nonzero": numbers["nonzero"],
                    "dead_units": numbers["dead_units"],
                    "mse": scores.mse,
                    "plain_mse": base,
                },
            )
        )
        norms = torch.linalg.vector_norm(effective_columns(model), dim=0)
        far = float((norms - 1).abs().max())
        lines.append(
            Line(
                f"sparse ({kind})",
                "decoder columns of unit norm",
                f"farthest from 1 by {far:.1e}",
                far < 1e-5,
                {"farthest_norm": far},
            )
        )
    k_model = bench.train("sparse", "256", (*SMALL, "bottleneck.k=85"))
    counts = (measured(k_model).codes != 0).sum(1)
    exact = f"between {int(counts.min())} and {int(counts.max())} units in every image"
    least_most = {"fewest": float(counts.min()), "most": float(counts.max())}
    all_k = bool((counts == 85).all())
    lines.append(Line("sparse (top-k)", "exactly k = 85 units", exact, all_k, least_most))
    l0 = measured(bench.train("sparse", "256", (*SMALL, "bottleneck=l0", "bottleneck.active=80")))
    count = l0.use.metrics()["nonzero"]
    lines.append(
        Line(
            "sparse (l0)",
            "within 10 % of the 80 units asked for",
            f"{count:.1f}",
            abs(count / 80 - 1) <= 0.1,
            {"nonzero": count},
        )
    )
    kl = measured(bench.train("sparse", "256", (*SMALL, "bottleneck=kl-sparse")))
    activity = float(kl.codes.mean())
    found_kl = f"mean activation {activity:.4f}, asked 0.05; MSE {kl.mse:.5f}"
    reached = abs(activity / 0.05 - 1) <= 0.1
    kl_numbers = {"mean_activation": activity, "mse": kl.mse}
    lines.append(Line("sparse (kl-sparse)", "reaches its target activation", found_kl, reached, kl_numbers))
    return lines


def effective_columns(model: Autoencoder) -> Tensor:
    """What one unit of the code paints into the decoder's first layer: its response to unit vectors."""
    entry = model.decoder.get_submodule("entry")
    units = model.recipe.geometry.channels
    with torch.no_grad():
        painted: Tensor = entry(torch.eye(units)) - entry(torch.zeros(1, units))
    return painted.T


# ---------------------------------------------------------------- contractive: the code keeps still


def contractive(bench: Bench) -> list[Line]:
    plain = bench.train("contractive", "64", ("bottleneck=plain",))
    model = bench.train("contractive", "64", ())
    before, after = measured(plain).mse, measured(model).mse
    images = some(test_set(), ROWS)
    loose, tight = sensitivity(plain, images), sensitivity(model, images)
    fall, cost = loose.jacobian / tight.jacobian, after / before - 1
    return [
        Line(
            "contractive",
            "‖J‖_F / std(z) at least 3 times smaller for at most 10 % more error",
            f"{loose.jacobian:.1f} → {tight.jacobian:.1f} ({fall:.1f} times); MSE {before:.5f} → {after:.5f} "
            f"({cost:+.1%})",
            fall >= 3 and cost <= 0.1,
            {
                "plain_jacobian": loose.jacobian,
                "jacobian": tight.jacobian,
                "plain_mse": before,
                "mse": after,
            },
        ),
        Line(
            "contractive",
            "the code moves less under a shift by one pixel and under noise of σ = 25",
            f"shift {loose.shift:.3f} → {tight.shift:.3f}, noise {loose.noise:.3f} → {tight.noise:.3f} "
            "(in units of the code's spread)",
            tight.shift < loose.shift and tight.noise < loose.noise,
            {
                "plain_shift": loose.shift,
                "shift": tight.shift,
                "plain_noise": loose.noise,
                "noise": tight.noise,
            },
        ),
    ]


# ---------------------------------------------------------- denoising, inpainting: better on damaged input


def corrupted(bench: Bench) -> list[Line]:
    lines = []
    for name in ("denoising", "inpainting"):
        model = bench.train(name, "auto", ())
        twin = bench.train(name, model.recipe.code, ("corruption=none",))
        how = model.recipe.corruption
        before, after = measured(twin, corruption=how).mse, measured(model, corruption=how).mse
        gain = 10 * math.log10(before / after)
        sentence = f"MSE {before:.5f} without the training on damage, {after:.5f} with it ({gain:+.1f} dB)"
        claim = "better on damaged test images than its plain twin"
        lines.append(Line(name, claim, sentence, after < before, {"twin_mse": before, "mse": after}))
    return lines


# ---------------------------------------------------------------- attention: hidden patches come back


def attention(bench: Bench) -> list[Line]:
    model = bench.train("attention", "auto", ())
    twin = bench.train("attention", model.recipe.code, ("corruption=none",))
    mean = some(isthmus.read("mnist"), 10_000).mean(0)
    how = model.recipe.corruption
    errors = {"model": 0.0, "twin": 0.0, "mean image": 0.0}
    hidden = 0.0
    for name, network in (("model", model), ("twin", twin)):
        for batch in iter_passes(network, test_set(), corruption=how, seed=0):
            assert batch.trace.corrupted.visible is not None
            missing = (~batch.trace.corrupted.visible).float()
            errors[name] += float(((batch.output - batch.images).square() * missing).sum())
            if name == "model":
                errors["mean image"] += float(((mean - batch.images).square() * missing).sum())
                hidden += float(missing.sum())
    shares = {name: error / hidden for name, error in errors.items()}
    sentence = ", ".join(f"{name} {value:.4f}" for name, value in shares.items())
    return [
        Line(
            "attention",
            "hidden patches (a quarter) are painted: error there at most half the mean image's",
            f"MSE of hidden pixels: {sentence}",
            shares["model"] <= 0.5 * shares["mean image"] and shares["model"] < shares["twin"],
            {f"hidden_mse {name}": value for name, value in shares.items()},
        )
    ]


# ---------------------------------------------------------------- variational: a code that is used


def variational(bench: Bench) -> list[Line]:
    model = bench.train("variational", "32", SMALL)
    numbers = measured(model).use.metrics()
    per_unit = numbers["kl"] / 32
    return [
        Line(
            "variational",
            "no collapse at β = 1: units stay active",
            f"{numbers['active_units']:.0f} of 32 units active, KL {numbers['kl']:.1f} nats "
            f"({per_unit:.2f} a unit)",
            numbers["active_units"] >= 8 and numbers["kl"] > 8,
            {"active_units": numbers["active_units"], "kl": numbers["kl"]},
        )
    ]


# ---------------------------------------------------------------- adversarial: codes that look like the prior


def adversarial(bench: Bench) -> list[Line]:
    dense = ("backbone=dense",)
    plain = bench.train("adversarial", "8", (*dense, "critic=none"))
    model = bench.train("adversarial", "8", dense)
    prior = torch.randn(ROWS, 8, generator=torch.Generator().manual_seed(0))
    every = len(test_set()) // ROWS
    distances = {}
    for name, network in (("plain, whitened", plain), ("adversarial", model)):
        codes = measured(network).codes
        if network is plain:  # a linear map is the least that any user of plain codes would do
            codes = whitened(codes)
        rows = codes[::every][:ROWS]
        distances[name] = squared_mmd(rows, prior), nearest_neighbour_accuracy(rows, prior)
    (mmd_plain, nn_plain), (mmd, nn) = distances.values()
    words = ", ".join(f"{name}: MMD² {m:.4f}, 1-NN {n:.3f}" for name, (m, n) in distances.items())
    costs = f"; MSE {measured(plain).mse:.5f} → {measured(model).mse:.5f}"
    return [
        Line(
            "adversarial",
            "the aggregated code matches N(0, I) better than a plain code (0 and ½ are perfect)",
            words + costs,
            mmd < mmd_plain and nn < nn_plain,
            {
                "plain_mmd": mmd_plain,
                "plain_nearest_neighbour": nn_plain,
                "plain_mse": measured(plain).mse,
                "mmd": mmd,
                "nearest_neighbour": nn,
                "mse": measured(model).mse,
            },
        )
    ]


def whitened(codes: Tensor) -> Tensor:
    centred = (codes - codes.mean(0)).double()
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(codes))
    white: Tensor = centred @ vectors / values.clamp_min(1e-12).sqrt()
    return white.float()


# ---------------------------------------------------------------- vae-gan: sharper


def vae_gan(bench: Bench) -> list[Line]:
    data = "fashion-mnist"
    models = {
        "variational": bench.train("variational", "64", SMALL, data),
        "vae-gan": bench.train("vae-gan", "64", SMALL, data),
    }
    images = some(test_set(data), ROWS)
    z = torch.randn(ROWS, 64, generator=torch.Generator().manual_seed(0))
    real = float(high_frequency_energy(images).mean())
    energies, sampled, error, rows = {}, {}, {}, [("unseen images", columns(images))]
    for name, model in models.items():
        with torch.no_grad():
            output = torch.cat([model.reconstruct_batch(part) for part in images.split(500)])
            samples = torch.cat([model.decode_batch(part, (28, 28)) for part in z.split(500)])
        energies[name] = float(high_frequency_energy(output).mean()) / real
        sampled[name] = float(high_frequency_energy(samples).mean()) / real
        error[name] = measured(model, data).mse
        rows += [(f"{name}: reconstructions", columns(output)), (f"{name}: samples", columns(samples))]
    bench.out.mkdir(parents=True, exist_ok=True)
    (bench.out / "vae-gan.png").write_bytes(draw_image_rows(rows, columns=12))
    sharper = abs(energies["vae-gan"] - 1) < 0.9 * abs(energies["variational"] - 1)
    return [
        Line(
            "vae-gan",
            "a tenth nearer to the fine detail of real images than the variational twin; its error is stated",
            f"energy above ¼ cycle per pixel, real = 1: reconstructions {energies['variational']:.2f} → "
            f"{energies['vae-gan']:.2f}, samples {sampled['variational']:.2f} → {sampled['vae-gan']:.2f}; "
            f"MSE {error['variational']:.5f} → {error['vae-gan']:.5f}",
            sharper,
            {
                f"{kind} {name}": values[name]
                for kind, values in (("kept", energies), ("sampled", sampled), ("mse", error))
                for name in models
            },
        )
    ]


def columns(images: Tensor) -> np.ndarray:
    chosen = images[:: len(images) // 12][:12].movedim(1, -1)
    array: np.ndarray = chosen.clamp(0, 1).numpy()
    return array


CLAIMS: dict[str, Callable[[Bench], list[Line]]] = {
    "sparse": sparse,
    "contractive": contractive,
    "corrupted": corrupted,
    "attention": attention,
    "variational": variational,
    "adversarial": adversarial,
    "vae-gan": vae_gan,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("claims", nargs="*", help=f"of {', '.join(CLAIMS)}; all when none is given")
    parser.add_argument("--minutes", type=float, default=2.5, help="of each training (default 2.5)")
    parser.add_argument("--steps", type=int, help="of each training, in float32, instead of minutes")
    parser.add_argument("--seed", type=int, default=0, help="of each training")
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("claims"), help="folder for numbers and pictures"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.claims if name not in CLAIMS]
    if unknown:
        parser.error(f"no claim {unknown[0]}; known: {', '.join(CLAIMS)}")
    bench = Bench(options.minutes, options.out, options.steps, options.seed)
    lines = []
    for name in options.claims or list(CLAIMS):
        for line in CLAIMS[name](bench):
            verdict = "holds" if line.holds else "falls short"
            print(f"| {line.family} | {line.claim} | {line.found} | {verdict} |", flush=True)
            lines.append(asdict(line))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "claims.json").write_text(json.dumps(lines, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
