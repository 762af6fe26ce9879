"""The tables of docs/research/articles/, made from the results: text between two marks is written again.

<!-- table: kinds -->
…
<!-- end -->
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Results = dict[str, dict[str, Any]]
MARKED = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str, folder: Path) -> str:
    """The page with every marked table made from `PART.json`; one that lacks a number is left alone."""

    def made(match: re.Match[str]) -> str:
        name = match[2]
        file = folder / f"{name.partition('-')[0]}.json"
        if not file.exists():
            return match[0]
        results = json.loads(file.read_text("utf-8"))
        try:
            return f"{match[1]}{TABLES[name](results)}\n{match[3]}"
        except LookupError:
            return match[0]

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
            f"{_weight(row):g}",
            number(row["mse"], 5),
            f"{row['code']['std']:.3f}",
            f"{row['code']['effective_rank']:.1f}",
            f"{row['code']['dead_units']} of {row['code']['units']}",
        ]
        for row in sorted(_penalised(results, "l2", code="32@2"), key=_weight)
    ]
    header = ("λ", "squared error", "spread of the code", "effective rank of 32 channels", "dead channels")
    return table(header, rows)


def _sparsity(results: Results) -> str:
    def line(shown: str, weight: str, row: dict[str, Any]) -> list[str]:
        active = row.get("nonzero", float(row["numbers"]))
        return [shown, weight, f"{active:.0f}", number(row["mse"]), str(row.get("dead_units", 0))]

    rows = [line("none", "–", results["plain"])]
    for kind in ("l0", "l1"):
        sorted_rows = sorted(_penalised(results, kind, code="32@8"), key=_weight)
        rows += [line(f"λ·{kind.upper()}", f"{_weight(row):g}", row) for row in sorted_rows]
    header = ("penalty", "λ", "numbers of 512 that are not 0", "squared error", "dead channels of 32")
    return table(header, rows)


def _penalised(results: Results, kind: str, code: str) -> list[dict[str, Any]]:
    """The cells of one penalty on one shape of code."""
    settings = {"bottleneck.kind": kind, "code": code}
    return [row for row in results.values() if settings.items() <= row["settings"].items()]


def _weight(row: dict[str, Any]) -> float:
    return float(row["settings"]["bottleneck.weight"])


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
        cells = [results[f"{name} {seconds} s"] for seconds in (12, 30)]
        image_counts = [f"{row['steps'] * row['batch']:,}" for row in cells]
        errors = [f"**{number(row['mse'])}**" for row in cells]
        texts = [text for pair in zip(image_counts, errors, strict=True) for text in pair]
        rows.append([f"`{name}`", f"{cells[0]['parameters']:,}", *texts])
    first = results["dense 12 s"]
    rows.append(["principal components", "–", "–", number(first["pca_mse"]), "–", number(first["pca_mse"])])
    header = ("", "parameters", "images in 12 s", "squared error", "images in 30 s", "squared error")
    return table(header, rows)


def _generative(results: Results) -> str:
    rows = []
    for name in ("autoencoder", "variational", "adversarial"):
        for prior in ("standard normal", "fitted Gaussian"):
            made = results[f"{name} from {prior}"]
            error = number(results[name]["mse"])
            rows.append([name, error, prior, f"{made['energy']:.2f}", f"{made['two_sample']:.2f}"])
    return table(("", "squared error, unseen", "codes from", "energy distance", "two-sample"), rows)


def _positions(results: Results) -> str:
    rows = []
    for place in ("scattered", "centred"):
        columns = [results[f"{place} {where}"] for where in ("none", "coordinates", "sinusoidal")]
        baselines = [number(columns[0][key], 5) for key in ("pca_mse", "mean_image_mse")]
        rows.append([place, *(number(row["mse"], 5) for row in columns), *baselines])
    return table(("digits", "none", "coordinates", "sinusoidal", "PCA", "mean image"), rows)


def _overfitting(results: Results) -> str:
    cells: dict[str, dict[int, str]] = {}
    for key, row in results.items():
        name, _, size = key.rpartition(", ")
        text = number(row["clean_mse"])
        if row["clean_mse"] == row["mse"]:  # under noise, training images are measured with noise as well
            text += f" ({number(row['train_mse'])})"
        cells.setdefault(name, {})[int(size.split()[0])] = text
    sizes = sorted(next(iter(cells.values())))
    rows = [[name, *(texts[size] for size in sizes)] for name, texts in cells.items()]
    return table(("held back by", *(f"{size:,} images" for size in sizes)), rows)


def _depth(results: Results) -> str:
    rows = [
        [
            name,
            f"{row['parameters']:,}",
            f"{row['core_seconds']:.0f} s",
            number(row["mse"]),
            number(row["train_mse"]),
        ]
        for name, row in results.items()
    ]
    return table(("network", "parameters", "core time", "squared error, unseen", "training"), rows)


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
