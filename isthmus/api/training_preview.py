"""Preview a training: shapes stage by stage, parameters, memory, time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from isthmus.api.result import Result, skipped_inputs
from isthmus.progress import duration
from isthmus.wording import format_count

if TYPE_CHECKING:
    from torch import Tensor, nn

    from isthmus.model.autoencoder import Autoencoder
    from isthmus.training.config import TrainConfig
    from isthmus.training.trainer import Trainer

PROBE_IMAGES = 8
_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Stage:
    """One part of the encoder or decoder.

    Attributes:
        part: `encoder` or `decoder`.
        name: of the part.
        shape: that it gives, batch axis left out.
        parameters: trained numbers in it.
    """

    part: str
    name: str
    shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True, kw_only=True, repr=False)
class TrainingPreview(Result):
    """Preview of a training; shapes are of one image, channels first, memory is an estimate.

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


def preview_training(trainer: Trainer, config: TrainConfig) -> TrainingPreview:
    """Look at a training that is ready: nothing is trained or written, and the model does not change."""
    import copy

    import torch

    from isthmus.images.batches import iter_batches
    from isthmus.model.allocation import weights_bytes
    from isthmus.training.trainer_setup import time_step

    plan, data = trainer.plan, trainer.data
    model: Autoencoder = trainer.learner.module  # type: ignore[assignment]
    probe = copy.deepcopy(model)
    probe.precision = getattr(torch, plan.precision)
    some = data.train.subset(range(min(PROBE_IMAGES, plan.batch, len(data.train))))
    images = next(iter(iter_batches(some, batch=PROBE_IMAGES, crop=plan.crop))).images
    stages, code, kept_bytes = _watch_pass(probe, images.to(next(probe.parameters()).device))
    step_seconds = plan.step_seconds or time_step(model, data, plan, config)
    parameters = _count_parameters(probe)
    held_out = data.held_out
    return TrainingPreview(
        image=tuple(images.shape[1:]),
        code=code,
        stages=stages,
        parameters=parameters,
        parameters_encoder=_count_parameters(probe.encoder),
        parameters_decoder=_count_parameters(probe.decoder),
        weights=weights_bytes(parameters, probe.recipe.optimiser),
        activations=round(kept_bytes * plan.batch / len(images)),
        seconds_per_step=step_seconds,
        steps=plan.steps,
        seconds=step_seconds * plan.steps,
        recipe=model.recipe.to_dict(),
        settled=plan.to_dict(),
        images=len(data.train),
        held_out=0 if held_out is None else len(held_out),
        skipped=skipped_inputs(data.train.skipped, () if held_out is None else held_out.skipped),
    )


def _watch_pass(model: Autoencoder, images: Tensor) -> tuple[tuple[Stage, ...], tuple[int, ...], int]:
    """Shapes by hooks, and the bytes that autograd keeps for the backward pass, by counting what it saves."""
    import torch
    from torch import nn

    from isthmus.training.players import players_of

    stages: list[Stage] = []
    handles = []
    for part in ("encoder", "decoder"):
        for name, module in getattr(model, part).named_children():
            is_list = isinstance(module, nn.ModuleList)
            for inner, child in module.named_children() if is_list else ((None, module),):
                full = name if inner is None else f"{name}.{inner}"
                handles.append(child.register_forward_hook(_record_stage(stages, part, full)))
    parameter_pointers = {p.untyped_storage().data_ptr() for p in model.parameters()}
    saved: dict[int, int] = {}

    def save(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameter_pointers:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    model.train()
    generator = torch.Generator(device=images.device).manual_seed(0)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        trace = model.trace(images, generator)
        for player in players_of(model)[:1]:
            player.objective(trace)
    for handle in handles:
        handle.remove()
    return tuple(stages), tuple(trace.code.values.shape[1:]), sum(saved.values())


def _record_stage(stages: list[Stage], part: str, name: str) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if hasattr(first, "shape"):
            stages.append(Stage(part, name, tuple(first.shape[1:]), _count_parameters(module)))

    return hook


def _count_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
