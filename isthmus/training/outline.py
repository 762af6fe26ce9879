"""What a training would be, before it is: shapes stage by stage, parameters, memory, time."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.images.batches import iter_batches
from isthmus.training.measure import step_times
from isthmus.training.player import players_of
from isthmus.training.prepare import Prepared, weights_bytes

PROBE = 8


@dataclass(frozen=True)
class Stage:
    """One part of the encoder or decoder and the shape it gives, batch axis left out."""

    part: str
    name: str
    shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class Outline:
    """Shapes are `(C, H, W)` or `(C,)` of one image; memory is in bytes and an estimate.

    Attributes:
        stages: in the order in which they run.
        weights: parameters, their gradients, moments, running average and best copy.
        activations: what one batch keeps for the backward pass, measured on a few images.
        seconds_per_step: measured; seconds: of all steps, without validation.
    """

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

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def outline(prepared: Prepared) -> Outline:
    """Look at a prepared training without training: nothing is written and the model does not change."""
    settled = prepared.settled
    probe = copy.deepcopy(prepared.model)
    probe.precision = getattr(torch, settled.precision)
    some = prepared.images.subset(range(min(PROBE, settled.batch, len(prepared.images))))
    images = next(iter(iter_batches(some, batch=PROBE, crop=settled.size if settled.crop else None))).images
    images = images.to(next(probe.parameters()).device)
    stages, code, kept = _watched(probe, images)
    per_step = prepared.seconds_per_step
    if not per_step:
        times = step_times(prepared.model, prepared.images, settled, (settled.precision,))
        per_step = sum(times[settled.precision]) / len(times[settled.precision])
    parameters = _count(probe)
    return Outline(
        image=tuple(images.shape[1:]),
        code=code,
        stages=stages,
        parameters=parameters,
        parameters_encoder=_count(probe.encoder),
        parameters_decoder=_count(probe.decoder),
        weights=weights_bytes(parameters, probe.recipe.optimiser),
        activations=round(kept * settled.batch / len(images)),
        seconds_per_step=per_step,
        steps=settled.steps,
        seconds=per_step * settled.steps,
    )


def _watched(model: Any, images: Tensor) -> tuple[tuple[Stage, ...], tuple[int, ...], int]:
    """Shapes by hooks, and the bytes that autograd keeps, by counting what it saves."""
    stages: list[Stage] = []
    handles = []
    for part in ("encoder", "decoder"):
        for name, module in getattr(model, part).named_children():
            for inner, child in (
                module.named_children() if isinstance(module, nn.ModuleList) else ((None, module),)
            ):
                full = name if inner is None else f"{name}.{inner}"
                handles.append(child.register_forward_hook(_note(stages, part, full)))
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    model.train()
    generator = torch.Generator(device=images.device).manual_seed(0)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        trace = model.trace(images, generator)
        for player in players_of(model)[:1]:
            player.objective(trace)
    for handle in handles:
        handle.remove()
    return tuple(stages), tuple(trace.code.values.shape[1:]), sum(kept.values())


def _note(stages: list[Stage], part: str, name: str) -> Any:
    def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
        found = output[0] if isinstance(output, tuple) else output
        if isinstance(found, Tensor):
            stages.append(Stage(part, name, tuple(found.shape[1:]), _count(module)))

    return hook


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
