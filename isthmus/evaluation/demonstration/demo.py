"""The demo: train on the shipped images, then every use once, on one page.

Each use is one section: a function that does its part and adds to the report. A new use adds its own to
`SECTIONS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isthmus.evaluation.demonstration.features import add_features
from isthmus.evaluation.demonstration.photos import compression, repair
from isthmus.evaluation.drawing.pictures import before_after
from isthmus.evaluation.explanation import explain
from isthmus.evaluation.generation import evaluate_generation
from isthmus.evaluation.passes import evenly
from isthmus.evaluation.report import model as reports
from isthmus.evaluation.report.examples import examples
from isthmus.evaluation.report.explanation import add_maps, add_paintings, add_scores, explanation_pictures
from isthmus.evaluation.report.generation import SECTION, add_generation
from isthmus.evaluation.report.map import add_map
from isthmus.evaluation.report.page import Cell, Report
from isthmus.evaluation.table import Evaluation, evaluate
from isthmus.evaluation.training_data import read_for
from isthmus.generation.fitting import fit_prior
from isthmus.generation.interpolation import path_images
from isthmus.model.autoencoder import Autoencoder
from isthmus.outputs import check_folder, check_output
from isthmus.training.api import train
from isthmus.training.progress import Listener

DATA = "fashion-sample"
TEST = "fashion-sample:test"
RECIPE, CODE = "conv", "32"
TRAINING_SHARE = 0.7  # of the whole time; the rest is for measuring, evaluating and drawing
SHOWN = 10
SAMPLES = 500


@dataclass
class Demo:
    """What sections share.

    Attributes:
        folder: where files go; minutes: about how long all of it may take.
        report: the page that grows section by section.
        on_step: told about training; say: told what happens, a line each.
        next_commands: words after `isthmus`, commands to try when all is done.
        numbers: what a section found out, for the command's JSON.
    """

    folder: Path
    minutes: float
    report: Report
    on_step: Listener | None = None
    say: Callable[[str], None] = lambda _: None
    next_commands: list[list[str]] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)
    trained: Autoencoder | None = None
    evaluation: Evaluation | None = None

    @property
    def model_path(self) -> Path:
        return self.folder / f"{DATA}.safetensors"

    @property
    def report_path(self) -> Path:
        return self.folder / "report.html"

    @property
    def model(self) -> Autoencoder:
        assert self.trained is not None  # the first section trains it
        return self.trained


def training(demo: Demo) -> None:
    """Train and save the model."""
    demo.say(f"training {RECIPE} with a code of {CODE} numbers on {DATA}")
    demo.trained = train(
        DATA,
        recipe=RECIPE,
        code=CODE,
        minutes=demo.minutes * TRAINING_SHARE,
        listener=demo.on_step,
    )
    demo.model.save(demo.model_path)
    summary = demo.model.summary
    demo.report.subtitle = (
        f"{RECIPE}, code {CODE}, trained for {summary['seconds']:.0f} seconds on "
        f"{summary['data']['images']:,} images that come with the package"
    )
    demo.numbers |= {
        "steps": summary["steps"],
        "training_seconds": summary["seconds"],
        "images_per_second": summary["images_per_second"],
    }


def evaluation(demo: Demo) -> None:
    """Measure it on images it has not seen, beside PCA and the mean image."""
    demo.say(f"evaluating on {TEST}")
    images = read_for(demo.model, TEST)
    found = demo.evaluation = evaluate(demo.model, images)
    height, width, channels = images.shape or (*demo.model.size, demo.model.channels)
    demo.report.text(
        "Reconstructions",
        f"Each image of {height}×{width} pixels went through a code of {CODE} numbers: "
        f"{height * width * channels} values into {CODE}, and back. "
        "The model has seen none of these images before.",
    )
    spread = [round(i * (len(images) - 1) / (SHOWN - 1)) for i in range(SHOWN)]
    reports.add_reconstructions(demo.report, examples(demo.model, images, spread, seed=0), "Reconstructions")
    reports.add_numbers(demo.report, found)
    worst = found.worst(SHOWN)
    reports.add_worst(demo.report, found, worst, examples(demo.model, images, worst, seed=0))
    reports.add_training(demo.report, demo.model)
    reports.add_code(demo.report, found)
    reports.add_gap(demo.report, found)
    demo.numbers["evaluation"] = found.to_dict()
    model = demo.model_path.as_posix()
    demo.next_commands += [
        ["reconstruct", model, TEST, "-o", (demo.folder / "reconstructed").as_posix(), "--compare"],
        [
            "train",
            DATA,
            "--recipe",
            "denoising",
            "--minutes",
            "1",
            "-o",
            (demo.folder / "denoising.safetensors").as_posix(),
        ],
        ["info", model],
    ]


def new_images(demo: Demo) -> None:
    """Fit a prior, draw new images, measure them, and walk from one image to another."""
    demo.say("drawing new images")
    fit_prior(demo.model, DATA, kind="mixture", components=20)
    demo.model.save(demo.model_path)
    found = evaluate_generation(demo.model, TEST, train=DATA, count=SAMPLES, bar=False)
    add_generation(demo.report, found)
    images = read_for(demo.model, TEST)
    ends = [images.image(round(share * (len(images) - 1))) for share in (0.0, 0.4, 1.0)]
    strip = path_images(demo.model, ends, frames=SHOWN // 2 + 1)
    demo.report.picture(
        SECTION,
        before_after([("on the way through the code from one unseen image to another", strip)], columns=11),
        "The first, the middle and the last are images of the test split as the model sees them.",
        "A strip of images that change step by step.",
    )
    add_map(demo.report, demo.model, images, SECTION)
    demo.numbers["generation"] = found.to_dict()
    model = demo.model_path.as_posix()
    demo.next_commands += [
        ["generate", model, "-n", "64", "-o", (demo.folder / "new.png").as_posix()],
        ["map", model, TEST, "-o", (demo.folder / "map.html").as_posix()],
    ]


def features(demo: Demo) -> None:
    """Alike images, groups, classes and anomalies from the code."""
    add_features(demo, DATA, TEST)
    model = demo.model_path.as_posix()
    demo.next_commands += [
        ["cluster", model, TEST, "-k", "10", "--picture", (demo.folder / "groups.png").as_posix()]
    ]


def explanation(demo: Demo) -> None:
    """What the code of one image sees and paints, and whether the maps that say so can be believed."""
    demo.say("explaining the code of one image")
    images = read_for(demo.model, TEST)
    found = explain(demo.model, images.subset([0]), data=evenly(images, 1000), units=6)
    drawn = explanation_pictures(found)
    add_maps(demo.report, found, drawn, "One code explained")
    add_paintings(demo.report, drawn, "One code explained")
    add_scores(demo.report, found, "One code explained")
    demo.numbers["explanation"] = found.to_dict()
    folder = (demo.folder / "explained").as_posix()
    demo.next_commands.append(["explain", demo.model_path.as_posix(), TEST, "-o", folder])


SECTIONS: tuple[Callable[[Demo], None], ...] = (
    training,
    evaluation,
    features,
    explanation,
    new_images,
    compression,
    repair,
)


def demonstrate(
    folder: str | Path,
    *,
    minutes: float = 2.0,
    force: bool = False,
    on_step: Listener | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Demo:
    """Run every section and write the model and `report.html` into `folder`.

    Raises:
        OutputError: the folder holds an earlier demo and `force` is off, or cannot be written.
    """
    report = Report("Isthmus, tried once")
    demo = Demo(Path(folder), minutes, report, on_step, say)
    check_folder(folder)
    for path in (demo.model_path, demo.report_path):
        check_output(path, force=force)
    for section in SECTIONS:
        section(demo)
    reports.add_use(report, demo.model_path.as_posix())
    reports.add_recipe(report, demo.model.recipe)
    if demo.evaluation is not None:
        reports.add_environment(report, demo.model, demo.evaluation)
    report.write(demo.report_path)
    return demo


def short_table(found: Evaluation) -> tuple[list[str], list[list[Cell]]]:
    """The few numbers that fit a terminal: header and rows."""
    header, rows = reports.metrics_table(found)
    return header, rows[:3]
