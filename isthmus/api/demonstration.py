"""Train on the shipped images and try every use once, on one page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from isthmus.api.detector_fitting import DEFAULT_FALSE_ALARMS
from isthmus.api.evaluation import evaluate
from isthmus.api.evaluation_results import Evaluation
from isthmus.api.explanation import Explanation, explain
from isthmus.api.inputs import PathLike, read_images_for
from isthmus.api.result import Result, Row, keys, use
from isthmus.api.training import train
from isthmus.api.training_results import TrainingResult, describe_training
from isthmus.errors import UsageError
from isthmus.interruption import Interruption
from isthmus.log import log_note
from isthmus.outputs import check_folder, check_output
from isthmus.progress import Progress

if TYPE_CHECKING:
    from isthmus.evaluation.generation import Generation
    from isthmus.features.classification import ProbeScores
    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder
    from isthmus.reports.page import Report

DATA = "fashion-sample"
TEST = "fashion-sample:test"
RECIPE, CODE = "conv", "32"
TRAINING_SHARE = 0.7  # of the whole time; the rest is for measuring, evaluating and drawing
PARTS = ("evaluation", "features", "explanation", "generation", "compressed", "repaired")
SHOWN_IMAGES = 10
SHOWN_ROWS = 3
MAX_FEATURE_IMAGES = 1500
MAX_COMPARED_IMAGES = 1000
SAMPLES = 500


@dataclass(frozen=True, kw_only=True, repr=False)
class Demonstration(Result):
    """Results of the demo. After Ctrl-C the parts that were not reached are null.

    Attributes:
        model: path of the trained model.
        report: path of the page.
        steps: of the training.
        training_seconds: its time.
        images_per_second: its pace.
        evaluation: a document of schema `isthmus.evaluate/1`.
        features: how well labels can be read off features, codes, pixels and principal components.
        explanation: a document of schema `isthmus.explain/1`.
        generation: quality of new images compared with real ones.
        compressed: `bytes` and `psnr` of a photograph's file, `jpeg_bytes` and `jpeg_psnr` of a JPEG
            of about that size.
        repaired: PSNR in dB of a photograph: `noisy`, `denoised`, `scratched`, `inpainted`.
        next: commands to try.
        training: the whole training.
    """

    schema: ClassVar[str] = "isthmus.demo/1"
    document: ClassVar = keys(
        "model report steps training_seconds images_per_second",
        "evaluation features explanation generation compressed repaired next",
    )

    model: str
    report: str
    training: TrainingResult = field(repr=False)
    evaluation: Evaluation | None = field(repr=False)
    features: Mapping[str, ProbeScores] | None = field(repr=False)
    explanation: Explanation | None = field(repr=False)
    generation: Generation | None = field(repr=False)
    compressed: Mapping[str, float] | None
    repaired: Mapping[str, float] | None
    next: tuple[str, ...]

    @property
    def steps(self) -> int:
        return self.training.steps

    @property
    def training_seconds(self) -> float:
        return self.training.seconds

    @property
    def images_per_second(self) -> float:
        return self.training.images_per_second

    def rows(self) -> tuple[Sequence[str], Sequence[Row]]:
        if self.evaluation is None:
            return super().rows()
        header, rows = self.evaluation.rows()
        return header, rows[:SHOWN_ROWS]

    def summary(self) -> str:
        return f"model: {self.model}\nreport: {self.report}"


@use
def run_demo(
    out: PathLike = "isthmus-demo",
    *,
    minutes: float = 2.0,
    force: bool = False,
    progress: Progress | None = None,
) -> Demonstration:
    """Train on the shipped images and try every use once.

    Needs no network and no images of yours. Writes the trained model and one page with pictures and numbers.

    Args:
        out: folder for the files.
        minutes: about how long it takes.
        force: replace the files of an earlier demo.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: a time that is not above 0.
        OutputError: the folder holds an earlier demo and `force` is off, or it cannot be written.

    Examples:
        >>> import isthmus, tempfile
        >>> found = isthmus.run_demo(tempfile.mkdtemp(), minutes=0.02)  # doctest: +SKIP
    """
    from isthmus.api.pages import model_page
    from isthmus.api.pages.example_images import add_repair, add_sample_compression
    from isthmus.reports.page import Report

    if not minutes > 0:
        raise UsageError("minutes={minutes}: expected a time above 0", id="demo.minutes", minutes=minutes)
    folder = Path(out)
    model_path, report_path = folder / f"{DATA}.safetensors", folder / "report.html"
    check_folder(out)
    for path in (model_path, report_path):
        check_output(path, force=force)
    report = Report("Isthmus, tried once")
    log_note(
        "training {recipe} with a code of {code} numbers on {data}",
        id="demo.training",
        recipe=RECIPE,
        code=CODE,
        data=DATA,
    )
    model = train(DATA, recipe=RECIPE, code=CODE, minutes=minutes * TRAINING_SHARE, progress=progress)
    model.save(model_path)
    training = describe_training(model)
    report.subtitle = (
        f"{RECIPE}, code {CODE}, trained for {training.seconds:.0f} seconds on "
        f"{training.images:,} images that come with the package"
    )
    images = read_images_for(model, TEST)
    collected: dict[str, Any] = {}
    stop = Interruption()
    with stop:
        collected["evaluation"] = _evaluate(report, model, images, progress)
        collected["features"] = _add_features(report, model, images)
        collected["explanation"] = _explain(report, model, images, progress)
        collected["generation"] = _generate(report, model, model_path, images)
        log_note("compressing a photograph with the shipped model", id="demo.compressing")
        collected["compressed"] = add_sample_compression(report)
        log_note("repairing a photograph with the shipped models", id="demo.repairing")
        collected["repaired"] = add_repair(report)
    stop.check(1 + len(collected), 1 + len(PARTS), "part")
    model_page.add_use(report, model_path.as_posix())
    model_page.add_recipe(report, model.recipe)
    if "evaluation" in collected:
        model_page.add_environment(report, model, collected["evaluation"])
    report.write(report_path)
    parts: dict[str, Any] = {part: collected.get(part) for part in PARTS}
    return Demonstration(
        model=model_path.as_posix(),
        report=report_path.as_posix(),
        training=training,
        **parts,
        next=_suggest(folder, model_path.as_posix()),
        complete=stop.complete,
    )


def _evaluate(report: Report, model: Autoencoder, images: ImageSet, progress: Progress | None) -> Evaluation:
    """Measure the model on images it has not seen, compared with PCA and the mean image."""
    from isthmus.api.pages import model_page
    from isthmus.api.pages.example_images import examples

    log_note("evaluating on {data}", id="demo.evaluating", data=TEST)
    evaluation = evaluate(model, TEST, progress=progress)
    height, width, channels = images.shape or (*model.size, model.channels)
    report.text(
        "Reconstructions",
        f"Each image of {height}×{width} pixels went through a code of {CODE} numbers: "
        f"{height * width * channels} values into {CODE}, and back. "
        "The model has seen none of these images before.",
    )
    spread = [round(i * (len(images) - 1) / (SHOWN_IMAGES - 1)) for i in range(SHOWN_IMAGES)]
    model_page.add_reconstructions(report, examples(model, images, spread, seed=0), "Reconstructions")
    model_page.add_numbers(report, evaluation)
    worst = evaluation.worst(SHOWN_IMAGES)
    model_page.add_worst(report, evaluation, worst, examples(model, images, worst, seed=0))
    model_page.add_training(report, model)
    model_page.add_code(report, evaluation)
    model_page.add_gap(report, evaluation)
    return evaluation


def _add_features(report: Report, model: Autoencoder, test: ImageSet) -> dict[str, ProbeScores]:
    """Search, groups, classes and anomalies on the shipped images; no label was used in training."""
    import numpy as np

    from isthmus.api.pages import sections
    from isthmus.features.anomalies import fit_detector, score
    from isthmus.features.readout import fit_extractor, read_extractor
    from isthmus.images.reading import read
    from isthmus.images.subsets import sample_evenly

    log_note("finding similar and unusual images", id="demo.comparing")
    train_images = sample_evenly(read_images_for(model, DATA), MAX_FEATURE_IMAGES)
    images = sample_evenly(test, MAX_FEATURE_IMAGES)
    extractor = read_extractor(model) or fit_extractor(model, train_images)
    report.text(
        sections.FEATURES,
        "The same code shows which images are alike. The model was given no labels: these only serve below, "
        "to count how often a line drawn through the code, or the nearest images, give them correctly.",
    )
    queries = images.subset(range(sections.MAX_QUERIES))
    sections.add_alike(report, model, train_images, queries, extractor)
    rows: tuple[ProbeScores, ...] = ()
    if images.labels is not None:
        rows = sections.add_classes(report, model, train_images, images, extractor)
    sections.add_groups(report, model, images, extractor)
    pixels = np.stack([images.image(i) for i in range(sections.MAX_SHOWN_IMAGES)])
    pixels[:, 10:18, 10:18] = np.iinfo(np.uint8).max - pixels[:, 10:18, 10:18]
    odd = read(pixels)
    detector = fit_detector(
        model, extractor, train_images, "reconstruction", false_alarms=DEFAULT_FALSE_ALARMS
    )
    flagged = int((score(model, extractor, detector, odd) > detector.threshold).sum())
    caption = (
        f"In the middle of each a square was turned into its negative; {flagged} of {len(odd)} are flagged "
        "at one false alarm in a hundred."
    )
    sections.add_unusual(report, model, extractor, detector, odd, caption)
    return {row.name: row for row in rows}


def _explain(report: Report, model: Autoencoder, images: ImageSet, progress: Progress | None) -> Explanation:
    """Where the units of one code look and what they decode to, and whether the maps can be trusted."""
    from isthmus.api.pages.explanation_page import add_decoded_units, add_maps, add_scores
    from isthmus.images.subsets import sample_evenly

    log_note("explaining the code of one image", id="demo.explaining")
    explanation = explain(
        model,
        images.subset([0]),
        reference=sample_evenly(images, MAX_COMPARED_IMAGES),
        units=6,
        progress=progress,
    )
    section = "One code explained"
    add_maps(report, explanation, section)
    add_decoded_units(report, explanation, section)
    add_scores(report, explanation, section)
    return explanation


def _generate(report: Report, model: Autoencoder, path: Path, images: ImageSet) -> Generation:
    """Fit a prior, draw new images, measure them, and go through the code from one image to another."""
    from isthmus.api.pages import sections
    from isthmus.evaluation.generation import evaluate_generation
    from isthmus.generation.prior_store import fit_prior
    from isthmus.generation.sampling import interpolate_images
    from isthmus.reports.image_sheets import draw_image_rows

    log_note("drawing new images", id="demo.drawing")
    training_images = read_images_for(model, DATA)
    fit_prior(model, training_images, kind="mixture", components=20)
    model.save(path)
    generation = evaluate_generation(model, images, train=training_images, count=SAMPLES, bar=False)
    sections.add_generation(report, generation)
    ends = [images.image(round(share * (len(images) - 1))) for share in (0.0, 0.4, 1.0)]
    strip = interpolate_images(model, ends, frames=SHOWN_IMAGES // 2 + 1)
    report.picture(
        sections.GENERATION,
        draw_image_rows(
            [("on the way through the code from one unseen image to another", strip)], columns=11
        ),
        "The first, the middle and the last are reconstructions of images of the test split.",
        "A strip of images that change step by step.",
    )
    sections.add_map(report, model, images, sections.GENERATION)
    return generation


def _suggest(folder: Path, model: str) -> tuple[str, ...]:
    """Commands that work as printed."""
    from isthmus.images.named import PHOTO

    def inside(name: str) -> str:
        return (folder / name).as_posix()

    commands = (
        ["reconstruct", model, TEST, "-o", inside("reconstructed"), "--compare"],
        ["train", DATA, "--recipe", "denoising", "--minutes", "1", "-o", inside("denoising.safetensors")],
        ["info", model],
        ["cluster", model, TEST, "-k", "10", "-o", inside("groups.png")],
        ["explain", model, TEST, "-o", inside("explained.html")],
        ["generate", model, "-n", "64", "-o", inside("new.png")],
        ["map", model, TEST, "-o", inside("map.html")],
        ["compress", PHOTO.as_posix(), "-o", folder.as_posix(), "--quality", "25"],
    )
    return tuple(shlex.join(["isthmus", *words]) for words in commands)
