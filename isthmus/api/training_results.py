"""What a training was, and what it would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from isthmus.api.result import Result
from isthmus.progress import duration
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.training.diagnosis.finding import Finding
    from isthmus.training.outline import Stage

_MEBIBYTE = 2**20


@dataclass(frozen=True, kw_only=True, repr=False)
class TrainingResult(Result):
    """How a model was trained, as its file says.

    Attributes:
        model: path of the model file, where it has one.
        recipe: name of the recipe.
        code: shape of the code, such as `64` or `32@8`.
        parameters: trained numbers, all parts together.
        images: number of images trained on.
        held_out: number of images held out for validation.
        batch: images in a step.
        precision: `float32` or `bfloat16`.
        seed: of the weights and everything random.
        steps: steps that were taken.
        seconds: their time.
        images_per_second: their pace.
        ended_early: whether patience ran out before the last step.
        kept: which weights are in the model: `best` or `last`.
        best: `step` and `validation` of the lowest validation loss, or null.
        findings: what the training doctor noticed, worst first.
        privacy: of a private training, `epsilon` and `delta` spent with `asked`, `noise`, `clip`, `rate`,
            `steps`, `unit`, `sampling`, `accountant` and `seed`; else null.
        history: losses at each validation: `step`, `train_…`, `validation`.
    """

    schema: ClassVar[str] = "isthmus.train/1"
    document: ClassVar = {
        name: name
        for name in (
            *("model", "recipe", "code", "parameters", "images", "held_out", "batch", "precision", "seed"),
            *("steps", "seconds", "images_per_second", "ended_early", "kept", "best", "findings", "privacy"),
        )
    }

    model: str | None
    recipe: str
    code: str
    parameters: int
    images: int
    held_out: int
    batch: int
    precision: str
    seed: int
    steps: int
    seconds: float
    images_per_second: float
    ended_early: bool
    kept: Literal["best", "last"]
    best: Mapping[str, float] | None
    findings: tuple[Finding, ...]
    privacy: Mapping[str, Any] | None
    history: tuple[Mapping[str, float], ...]

    def table(self, rows: int | None = None) -> str:  # noqa: ARG002
        """What was done, in a few lines."""
        early = ", ended early" if self.ended_early else ""
        lines = [
            f"{format_count(self.steps, 'step')} in {duration(self.seconds)} "
            f"({self.images_per_second:,.0f} images/s){early}"
        ]
        if self.best is not None:
            lines.append(
                f"validation {self.best['validation']:.5g} at step {self.best['step']:,} "
                f"({self.kept} weights kept)"
            )
        if self.privacy is not None:
            lines.append(
                f"private: ε {self.privacy['epsilon']:.4g} at δ {self.privacy['delta']:.3g} spent on any one "
                f"image (noise {self.privacy['noise']:.4g}, clip norm {self.privacy['clip']:g})"
            )
        return "\n".join(lines)

    def summary(self) -> str:
        return "" if self.model is None else f"model: {self.model}"


@dataclass(frozen=True, kw_only=True, repr=False)
class TrainingPreview(Result):
    """What a training would be; shapes are of one image, channels first, memory is an estimate.

    Attributes:
        image: shape of an image.
        code: shape of its code.
        stages: the parts of encoder and decoder in the order in which they run.
        parameters: trained numbers, all parts together.
        parameters_encoder: of these in the encoder.
        parameters_decoder: of these in the decoder.
        weights: bytes of weights, gradients, moments, average and best copy.
        activations: bytes that one batch keeps.
        seconds_per_step: measured.
        steps: planned steps.
        seconds: of all steps.
        recipe: every setting.
        settled: every choice that was made from the data.
        images: number of images to train on.
        held_out: number of images to validate on.
    """

    schema: ClassVar[str] = "isthmus.dry-run/1"
    document: ClassVar = {
        name: name
        for name in (
            *("image", "code", "stages", "parameters", "parameters_encoder", "parameters_decoder", "weights"),
            *(
                "activations",
                "seconds_per_step",
                "steps",
                "seconds",
                "recipe",
                "settled",
                "images",
                "held_out",
            ),
        )
    }

    image: tuple[int, ...]
    code: tuple[int, ...]
    stages: tuple[Stage, ...]
    parameters: int
    parameters_encoder: int
    parameters_decoder: int
    weights: int
    activations: int
    seconds_per_step: float
    steps: int
    seconds: float
    recipe: Mapping[str, Any]
    settled: Mapping[str, Any]
    images: int
    held_out: int

    def rows(self) -> tuple[list[str], list[list[object]]]:
        body: list[list[object]] = [["image", "", _format_shape(self.image), None]]
        parts = [stage.part for stage in self.stages]
        for index, stage in enumerate(self.stages):
            if stage.part == "decoder" and "decoder" not in parts[:index]:
                body.append(["code", "", _format_shape(self.code), None])
            body.append([stage.part, stage.name, _format_shape(stage.shape), stage.parameters])
        return ["part", "stage", "shape", "parameters"], body

    def summary(self) -> str:
        memory = (self.weights + self.activations) / _MEBIBYTE
        return "\n".join(
            [
                "",
                f"parameters   {self.parameters:,} (encoder {self.parameters_encoder:,}, "
                f"decoder {self.parameters_decoder:,})",
                f"memory       about {memory:,.0f} MiB: weights and optimiser "
                f"{self.weights / _MEBIBYTE:,.0f}, one batch {self.activations / _MEBIBYTE:,.0f}",
                f"time         {format_count(self.steps, 'step')} of {1000 * self.seconds_per_step:.3g} ms: "
                f"about {duration(self.seconds)}",
                "nothing was trained or written",
            ]
        )


def _format_shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
