"""A model's report: reconstructions, metrics and baselines, its training, how to use it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from isthmus.api.evaluation_results import Evaluation
from isthmus.api.explanation import explain_first
from isthmus.api.pages.compression_section import add_own_compression
from isthmus.api.pages.example_images import Examples, examples
from isthmus.api.pages.explanation_page import add_decoded_units, add_maps
from isthmus.api.pages.sections import add_features, add_generation, add_map
from isthmus.evaluation.passes import largest_size
from isthmus.images.store import ImageSet
from isthmus.images.subsets import even_rows, sample_evenly
from isthmus.metrics.codes import ACTIVE_VARIANCE
from isthmus.metrics.registry import METRICS, in_order, label
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.recipe import Recipe
from isthmus.reports.charts import draw_curves, draw_histogram
from isthmus.reports.image_sheets import draw_image_rows
from isthmus.reports.page import Cell, Report
from isthmus.training.diagnosis.finding import recorded
from isthmus.wording import format_count

MAX_SHOWN_IMAGES = 10
MAX_EXPLAINED_PIXELS = 128**2  # of an image whose features and code the page shows; more takes too long
MAX_COMPARED_IMAGES = 1000


def model_page(evaluation: Evaluation, model: Autoencoder, images: ImageSet, *, path: str) -> Report:
    """Everything about a model on one page.

    Args:
        evaluation: of this model on these images.
        path: where the model's file is, for the lines that show how to load it.
    """
    report = Report(
        f"{evaluation.model.recipe}, code {evaluation.model.code}",
        f"{format_count(evaluation.data.images, 'image')} of {evaluation.data.source}",
    )
    spread = even_rows(len(images), MAX_SHOWN_IMAGES).tolist()
    add_reconstructions(report, examples(model, images, spread, seed=evaluation.seed), "Reconstructions")
    add_numbers(report, evaluation)
    worst = evaluation.worst(MAX_SHOWN_IMAGES)
    add_worst(report, evaluation, worst, examples(model, images, worst, seed=evaluation.seed))
    add_own_compression(report, images.image(0), model)
    add_training(report, model)
    add_code(report, evaluation)
    if _is_seen_whole(model, images):
        add_map(report, model, images, "Code")
        add_features(report, model, images)
        add_explanation(report, model, images)
    if evaluation.generation is not None:
        add_generation(report, evaluation.generation)
    add_gap(report, evaluation)
    add_use(report, path)
    add_recipe(report, model.recipe)
    add_environment(report, model, evaluation)
    return report


def add_reconstructions(report: Report, pictures: Examples, section: str) -> None:
    """Rows of originals, corrupted inputs where there are any, and reconstructions."""
    rows: list[tuple[str, list[Any]]] = [("given", pictures.originals)]
    if pictures.inputs is not None:
        rows.append(("what the model saw", pictures.inputs))
    rows.append(("reconstruction", pictures.outputs))
    report.picture(
        section,
        draw_image_rows(rows, columns=MAX_SHOWN_IMAGES),
        f"{format_count(len(pictures.names), 'image')}, evenly spaced over the set.",
        f"{format_count(len(rows), 'row')} of {format_count(len(pictures.names), 'image')}: "
        f"{', '.join(title for title, _ in rows)}.",
    )


def add_numbers(report: Report, evaluation: Evaluation) -> None:
    """The table of metrics and baselines, with its notes."""
    header, rows = evaluation.rows()
    higher = ", ".join(METRICS[key].label for key in evaluation.metrics if _better(key) == "higher")
    note = f"Means over images. {higher}: higher is better; errors, entropies and rates: lower."
    if evaluation.clean is not None:
        note += " The model and its rivals are given corrupted images and compared with the clean ones."
    report.table("Numbers", header, rows, note=note)
    for text in evaluation.notes:
        report.text("Numbers", text[:1].upper() + text[1:] + ".")


def add_worst(report: Report, evaluation: Evaluation, worst: Sequence[int], pictures: Examples) -> None:
    """The images with the greatest error, and their scores."""
    rows: list[tuple[str, list[Any]]] = [("given", pictures.originals), ("reconstruction", pictures.outputs)]
    report.picture(
        "Worst",
        draw_image_rows(rows, columns=MAX_SHOWN_IMAGES),
        "The images with the greatest squared error, the worst first.",
        f"Two rows of {format_count(len(worst), 'image')}: given and reconstructed.",
    )
    scores = evaluation.scores
    report.table(
        "Worst",
        ["image", "MSE", "PSNR (dB)", "SSIM"],
        [
            [evaluation.names[i], float(scores["mse"][i]), float(scores["psnr"][i]), float(scores["ssim"][i])]
            for i in worst
        ],
    )


def add_training(report: Report, model: Autoencoder) -> None:
    """Training and validation loss over steps, and how long it took."""
    summary = model.summary
    history = summary.get("history") or []
    series = {}
    for title, keys in (
        ("training", ("train_autoencoder", "train_encoder")),
        ("validation", ("validation",)),
        ("critic", ("train_critic",)),
    ):
        points = [
            (entry["step"], entry[key])
            for entry in history
            for key in keys
            if math.isfinite(entry.get(key, math.nan)) and math.isfinite(entry["step"])
        ]
        if points:
            series[title] = points
    if series:
        positive = all(y > 0 for points in series.values() for _, y in points)
        report.picture(
            "Training",
            draw_curves(series, y_label="objective", log=positive),
            "The objective in training, with its noise and warm-up, and on images held out.",
            f"Curves of {' and '.join(series)} loss over {summary.get('steps')} steps.",
        )
    best = summary.get("best") or {}
    facts: dict[str, Cell] = {
        "steps": summary.get("steps"),
        "seconds": summary.get("seconds"),
        "images a second": summary.get("images_per_second"),
        "lowest validation loss": best.get("validation"),
        "at step": best.get("step"),
        "weights kept": summary.get("kept"),
    }
    if any(value is not None for value in facts.values()):
        report.facts("Training", facts)
    findings = recorded(summary)
    if findings:
        rows = [[finding.severity, finding.name, finding.message, finding.suggestion] for finding in findings]
        report.table("Training", ["severity", "finding", "what was seen", "try"], rows)


def add_code(report: Report, evaluation: Evaluation) -> None:
    """How the numbers of the code are used."""
    code = evaluation.code
    variances = evaluation.variances
    live = variances[variances > 0]
    if len(live):
        report.picture(
            "Code",
            draw_histogram({"units": np.log10(live)}, x_label="log₁₀ of a unit's variance over images"),
            f"{format_count(code.units, 'unit')}, {int((variances > ACTIVE_VARIANCE).sum())} of "
            "them with a "
            f"variance above {ACTIVE_VARIANCE:g}, {len(variances) - len(live)} that never change.",
            "Histogram of the variances of the code's units.",
        )
    report.facts(
        "Code",
        {
            "units": code.units,
            "units that never change": code.dead_units,
            "effective dimension": code.effective_rank,
            "participation ratio": code.participation_ratio,
            "share of exact zeros": code.zero_fraction,
            "mean |correlation|": code.mean_abs_correlation,
        },
    )


def add_explanation(report: Report, model: Autoencoder, images: ImageSet) -> None:
    """The pixels that the most informative units of the first image depend on, and what they decode to."""
    explanation = explain_first(model, images, sample_evenly(images, MAX_COMPARED_IMAGES), "data")
    add_maps(report, explanation, "One code explained")
    add_decoded_units(report, explanation, "One code explained")


def _is_seen_whole(model: Autoencoder, images: ImageSet) -> bool:
    """Whether a code holds the image, and images are small enough to be looked at many times."""
    height, width = largest_size(images)
    return not model.recipe.backbone.has_skips and height * width <= MAX_EXPLAINED_PIXELS


def add_gap(report: Report, evaluation: Evaluation) -> None:
    """The same metrics on training images."""
    if evaluation.gap is None:
        return
    train, difference = evaluation.gap.train, evaluation.gap.difference
    report.table(
        "Train and test",
        ["metric", "training images", "these images", "difference"],
        [[label(k), train[k], evaluation.metrics[k], difference[k]] for k in in_order(difference)],
        note=f"On {format_count(evaluation.gap.images, 'training image')}, evenly spaced. A model "
        "that has learned its "
        "images by heart is much better on them.",
    )
    if evaluation.privacy is not None:
        membership = evaluation.privacy
        report.facts(
            "Train and test",
            {
                "membership, AUROC": membership.auroc,
                "95 % interval from": membership.low,
                "to": membership.high,
                "found at 1 % false alarms": membership.found_at_1_percent,
                "gives training images away": membership.leaks,
            },
        )


def add_use(report: Report, path: str) -> None:
    """How to load the model in Python."""
    report.code(
        "Use it",
        f"""import isthmus

model = isthmus.load({path!r})
code = model.encode(images)         # images: NumPy (N, H, W, C), uint8 or floats in [0, 1]
images = model.decode(code)
seen = model.reconstruct(images)""",
    )


def add_recipe(report: Report, recipe: Recipe) -> None:
    """Every setting of the recipe."""
    report.table("Recipe", ["setting", "value", "what it does"], [list(row) for row in recipe.describe()])


def add_environment(report: Report, model: Autoencoder, evaluation: Evaluation) -> None:
    """Where the numbers were measured, and facts about the model and the images."""
    facts, data = evaluation.model, evaluation.data
    height, width = data.size
    report.facts(
        "Model and images",
        {
            "parameters": facts.parameters,
            "encoder": facts.parameters_encoder,
            "decoder": facts.parameters_decoder,
            "trained on": facts.trained_on,
            "training images": facts.training_images,
            "training precision": facts.precision,
            "numbers in a code": model.recipe.geometry.numbers((height, width)),
            "values in an image": height * width * data.channels,
            "sizes": f"up to {height}×{width}" if data.sizes_differ else f"{height}×{width}",
            "fingerprint": data.fingerprint[:12],
        },
    )
    report.facts(
        "Environment", {**vars(evaluation.environment), "seconds to evaluate": round(evaluation.seconds, 1)}
    )
    for skipped in data.skipped:
        report.text("Model and images", f"Skipped: {skipped.name} ({skipped.reason})")


def _better(key: str) -> str:
    return METRICS[key].better if key in METRICS else ""
