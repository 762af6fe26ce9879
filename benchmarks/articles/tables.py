"""The tables of docs/articles.md, made from the results: what stands between two marks is written anew.

<!-- table: kinds -->
…
<!-- end -->
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

Results = dict[str, dict[str, Any]]
MARKED = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str, results: Path) -> str:
    """The page with every marked table made from `results/PART.json`; a part not measured is left alone."""

    def made(match: re.Match[str]) -> str:
        name = match[2]
        file = results / f"{name.partition('-')[0]}.json"
        if not file.exists():
            return match[0]
        return f"{match[1]}{TABLES[name](json.loads(file.read_text('utf-8')))}\n{match[3]}"

    return MARKED.sub(made, page)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    header = list(header)
    lines = [header, ["---"] * len(header), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float, digits: int = 4) -> str:
    """Errors as .0123, other numbers short."""
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("0.") else text


def seeds(results: Results, name: str) -> list[dict[str, Any]]:
    """The rows of one cell, one per seed."""
    return [row for key, row in results.items() if key.partition(", seed ")[0] == name]


def spread(results: Results, name: str, key: str, digits: int = 4) -> str:
    """Mean and, where there are several seeds, half the range."""
    values = [row[key] for row in seeds(results, name)]
    text = number(fmean(values), digits)
    return text if len(values) < 2 else f"{text} ± {number((max(values) - min(values)) / 2, digits)}"


def _trained(names: dict[str, str]) -> Callable[[Results], str]:
    def made(results: Results) -> str:
        header = ("", "numbers", "parameters", "epochs", "core time", "unseen", "training", "PCA")
        return table(header, (_row(results[key], shown) for key, shown in names.items()))

    return made


def _row(row: dict[str, Any], shown: str) -> list[str]:
    return [
        shown,
        f"{row['numbers']:,}",
        f"{row['parameters']:,}",
        f"{row['epochs']:g}",
        f"{row['core_seconds']:.0f} s",
        f"**{number(row['mse'])}**",
        number(row["train_mse"]),
        # As many components as pixels are no compression to compare with.
        number(row["pca_mse"]) if row["pca_mse"] > 1e-6 and row["numbers"] < 784 else "–",
    ]


def _generation(results: Results) -> str:
    names = {
        "random images": "random images, encoded",
        "random codes": "random codes",
        "fitted Gaussian": "fitted Gaussian",
    }
    rows = [
        [
            shown,
            f"{results[key]['distance']:.1f}",
            f"{results[key]['spread']:.2f}",
            f"{results[key]['energy']:.2f}",
            f"{results[key]['two_sample']:.2f}",
        ]
        for key, shown in names.items()
    ]
    real = results["real training images"]
    rows.append(["real images, for scale", "–", "–", f"{real['energy']:.2f}", f"{real['two_sample']:.2f}"])
    return table(("codes from", "distance", "spread", "energy distance", "two-sample"), rows)


def _penalty(results: Results) -> str:
    rows = [
        [
            name.removeprefix("λ "),
            number(row["mse"], 5),
            f"{row['code']['std']:.3f}",
            f"{row['code']['effective_rank']:.1f}",
            f"{row['code']['dead_units']} of {row['code']['units']}",
        ]
        for name, row in sorted(results.items())
        if name.startswith("λ")
    ]
    header = ("λ", "squared error", "spread of the code", "effective rank of 32 channels", "dead channels")
    return table(header, rows)


def _sparsity(results: Results) -> str:
    def line(shown: str, weight: str, row: dict[str, Any]) -> list[str]:
        active = row.get("nonzero", float(row["numbers"]))
        return [shown, weight, f"{active:.0f}", number(row["mse"]), str(row["code"]["dead_units"])]

    rows = [line("none", "–", results["plain"])]
    for kind in ("l0", "l1"):
        found = sorted(
            (float(name.split()[1]), row) for name, row in results.items() if name.startswith(f"{kind} ")
        )
        rows += [line(f"λ·{kind.upper()}", f"{weight:g}", row) for weight, row in found]
    header = ("penalty", "λ", "numbers of 512 that are not 0", "squared error", "dead channels of 32")
    return table(header, rows)


def _descent(results: Results) -> str:
    rows = []
    for key, shown in (
        ("article-004", "Adam"),
        ("sgd", "stochastic gradient descent"),
        ("gd", "full-batch gradient descent"),
    ):
        row = results[key]
        rows.append(
            [
                shown,
                f"{float(row['settings']['optimiser.rate']):g}",
                f"{row['epochs']:g}",
                f"{row['steps']:,}",
                f"{row['core_seconds']:.0f} s",
                number(row["mse"]),
            ]
        )
    return table(("way down", "rate", "passes", "steps", "core time", "squared error, unseen"), rows)


def _kinds(results: Results) -> str:
    rows = []
    for name in ("dense", "conv", "recurrent"):
        one = seeds(results, name)[0]
        images = fmean(row["epochs"] for row in seeds(results, name))
        rows.append(
            [
                f"`{name}`",
                f"{one['parameters']:,}",
                f"{images:.1f}",
                spread(results, name, "mse"),
                spread(results, name, "train_mse"),
                spread(results, name, "ssim", 3),
            ]
        )
    baseline = seeds(results, "dense")[0]
    rows.append(["principal components", "–", "–", number(baseline["pca_mse"]), "–", "–"])
    return table(("", "parameters", "epochs", "squared error, unseen", "training", "SSIM"), rows)


def _generative(results: Results) -> str:
    rows = []
    for name in ("autoencoder", "variational", "adversarial"):
        for prior in ("standard normal", "fitted Gaussian"):
            key = f"{name} from {prior}"
            rows.append(
                [
                    name,
                    spread(results, name, "mse"),
                    prior,
                    spread(results, key, "energy", 2),
                    spread(results, key, "two_sample", 2),
                ]
            )
    return table(("", "squared error, unseen", "codes from", "energy distance", "two-sample"), rows)


def _positions(results: Results) -> str:
    rows = []
    for place in ("scattered", "centred"):
        for net in ("collapsed", "recurrent"):
            keys = [f"{place} {net} {where}" for where in ("none", "coordinates", "sinusoidal")]
            found = [number(results[key]["mse"], 5) if key in results else "–" for key in keys]
            first = results[keys[0]]
            baselines = [number(first[key], 5) for key in ("pca_mse", "mean_image_mse")]
            rows.append([place, f"`{net}`", *found, *baselines])
    return table(("digits", "network", "none", "coordinates", "sinusoidal", "PCA", "mean image"), rows)


def _overfitting(results: Results) -> str:
    cells: dict[str, list[int]] = {}
    for key in results:
        name, _, size = key.partition(", seed ")[0].rpartition(", ")
        sizes = cells.setdefault(name, [])
        if (count := int(size.split()[0])) not in sizes:
            sizes.append(count)
    rows = []
    for name, sizes in cells.items():
        texts = []
        for size in sorted(sizes):
            cell = f"{name}, {size} images"
            training = number(fmean(row["train_mse"] for row in seeds(results, cell)))
            texts.append(f"{spread(results, cell, 'clean_mse')} ({training})")
        rows.append([name, *texts])
    sizes = sorted(next(iter(cells.values())))
    return table(("held back by", *(f"{size:,} images" for size in sizes)), rows)


def _depth(results: Results) -> str:
    rows = [
        [
            name,
            f"{row['parameters']:,}",
            f"{row['epochs']:.1f}",
            number(row["mse"]),
            number(row["train_mse"]),
        ]
        for name, row in results.items()
    ]
    return table(("network", "parameters", "epochs", "squared error, unseen", "training"), rows)


TABLES: dict[str, Callable[[Results], str]] = {
    "000": _trained({"article-000": "`article-000`"}),
    "001": _trained({"article-001": "`article-001`", "linear code": "the same, code not rectified"}),
    "001-generation": _generation,
    "002": _trained({"article-002": "`article-002`"}),
    "002-penalty": _penalty,
    "002-kinds": _trained(
        {f"{kind}, 32 numbers": kind for kind in ("stacked", "dense", "recurrent")},
    ),
    "003": _trained({"article-003": "`article-003`"}),
    "003-sparsity": _sparsity,
    "004": _trained({"article-004": "`article-004`", "linear code": "the same, code not rectified"}),
    "004-descent": _descent,
    "kinds": _kinds,
    "generative": _generative,
    "positions": _positions,
    "overfitting": _overfitting,
    "depth": _depth,
}
