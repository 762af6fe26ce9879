"""The one model class: corruption → encoder → bottleneck → decoder, whatever the recipe."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from importlib import import_module
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from isthmus.images.array_format import Kind
from isthmus.images.sample_range import Range
from isthmus.model import axes, backbones, bottlenecks, capabilities
from isthmus.model.allocation import check_memory
from isthmus.model.attachment_check import Attachment as Attachment
from isthmus.model.backbones.interface import Decoder, Encoder, Features, Plan
from isthmus.model.bottlenecks.interface import Bottleneck
from isthmus.model.canvas import Canvas
from isthmus.model.code import Code
from isthmus.model.corruptions import corrupt
from isthmus.model.critics import build_critic
from isthmus.model.history import TrainingHistory
from isthmus.model.layers import LayerTable, list_layers
from isthmus.model.objective import Objective, code_terms, image_terms
from isthmus.model.recipe import Recipe
from isthmus.model.seeded import seeded
from isthmus.model.tensors import (
    apply_range,
    channels_last,
    check_code_shape,
    convert_like,
    images_per_pass,
    pad_to_size,
    plain_kind,
    read_batch,
    resize_images,
    round_up_size,
)
from isthmus.model.trace import Corrupted, Latent, Trace
from isthmus.threads import limited

FIRST_MARK = -3.0  # logit of an untrained model: defects are few


class Autoencoder(nn.Module):
    """One point of the product space, built for images of `channels` channels.

    Args:
        recipe: what to build; its code must no longer be `auto`.
        channels: of the images that it reads, 1 to 64.
        size: `(H, W)` of the training images. A vector code is tied to it; a grid code only takes the size of
            learned positions from it.

    Attributes:
        output_channels: of the images that it gives: the same, but for a model that was trained on pairs.
        summary: how it was trained (JSON values): data, seed, steps, precision, losses.
        attachments: by name, see `Attachment`.

    Raises:
        CapabilityError: the recipe's parts cannot work together, or have no network for such images.
    """

    def __init__(self, recipe: Recipe, *, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        capabilities.check(recipe)
        capabilities.check_images(recipe, channels=channels, axes=len(size))
        self.recipe, self.channels, self.size = recipe, channels, size
        self.output_channels = recipe.corruption.target_channels or channels
        self.summary: dict[str, Any] = {}
        self.attachments: dict[str, Attachment] = {}
        self.precision = torch.float32
        self.bottleneck: Bottleneck = bottlenecks.build(recipe, channels=channels)
        self.canvas = Canvas(size, recipe.geometry)
        self.multiple = recipe.backbone.size_multiple(recipe.geometry, size)
        marks = int(recipe.corruption.marks_defects)
        plan = Plan(
            channels=self.output_channels + marks,
            seen=channels,
            inputs=channels + recipe.corruption.has_condition,
            size=round_up_size(size, self.multiple),
            geometry=recipe.geometry,
            features=recipe.geometry.channels * self.bottleneck.expansion,
            unit_columns=self.bottleneck.unit_columns,
            transforms=recipe.corruption.target_channels is not None,
            marks=marks,
        )
        built: tuple[Encoder, Decoder] = backbones.build(recipe, plan)
        self.encoder, self.decoder = built
        self.decoder.built_size, self.decoder.built_stride = plan.size, recipe.geometry.stride
        self.critic = build_critic(recipe, replace(plan, channels=self.output_channels))
        # The output bias, see `start_at`: a buffer, so that it is saved with the weights.
        self.offset: Tensor
        self.register_buffer("offset", torch.zeros(plan.channels, 1, 1))
        self.noise_log_sigma = nn.Parameter(torch.zeros(()), requires_grad=self._learns_noise)

    @property
    def _learns_noise(self) -> bool:
        return any(term.learns_noise for term in self.recipe.objective.terms)

    @torch.no_grad()
    def start_at(self, mean: Tensor, deviation: Tensor) -> None:
        """Initialise the output bias to the mean colour `mean (C,)` of the training images, in [0, 1].

        Otherwise the first steps would all move the output in one direction, and a saturated sigmoid has no
        gradient to return. The learned σ of `gaussian-nll` starts at the error of this output, the standard
        `deviation` of the images. For pairs, `mean` holds the input's channels and then the target's.
        """
        if self._learns_noise:
            self.noise_log_sigma.copy_(deviation.clamp_min(1e-3).log())
        bounded = mean.clamp(0.01, 0.99)
        self.encoder.centre_at(bounded[: self.channels])
        self.offset[self.output_channels :] = FIRST_MARK  # where it marks defects
        if self.recipe.backbone.predicts_residual or self.recipe.backbone.starts_at_components:
            return  # it starts as the identity, or has a mean of its own
        painted = bounded[-self.output_channels :]
        start = painted.logit() if self.recipe.backbone.output == "sigmoid" else painted
        self.offset[: self.output_channels] = start.view(-1, 1, 1)

    # ------------------------------------------------------------ the pass

    def forward(self, images: Tensor) -> Tensor:
        """The reconstruction of `images (N, C, H, W)`, floats in [0, 1], with gradients.

        Nothing is corrupted, drawn or clipped: a linear output may lie a little outside [0, 1].
        """
        corrupted = Corrupted(self.canvas.fit(images), images)
        with self._attention():
            code, skips = self._encode(corrupted, torch.Generator(device=images.device), sample=False)
            raw = self.decode_raw(code.values, corrupted.input.shape[-2:], skips)
        output = apply_range(raw, self.recipe.backbone.output)
        return resize_images(output, (images.shape[-2], images.shape[-1]))

    def loss(
        self, images: Tensor, labels: Tensor | None = None, *, progress: float = 1.0
    ) -> dict[str, Tensor]:
        """The training loss of one batch, without a critic. Noise comes from the global generator.

        Args:
            images: `(N, C, H, W)` floats in [0, 1]; for pairs, the input's channels and then the target's.
            labels: `(N,)` classes, or None.
            progress: share of the training that is done, for weights with a warm-up.

        Returns:
            `total`, a scalar with gradients, and each term's batch mean before its weight, detached, by the
            names of `history`.
        """
        seed = int(torch.randint(2**62, ()))
        generator = torch.Generator(device=images.device).manual_seed(seed)
        trace = self.trace(self.canvas.fit(images), generator, labels=labels)
        objective = Objective((*image_terms(self.recipe), *code_terms(self.bottleneck)))
        total, terms = objective(trace, progress)
        return {"total": total.mean(), **terms}

    def layers(self) -> LayerTable:
        """The layers with their shapes and parameters; printable, and their sum is the model's total."""
        return list_layers(self)

    @property
    def history(self) -> TrainingHistory:
        """Losses at each validation of the training, from the summary; `history.plot()` draws them."""
        return TrainingHistory.from_rows(self.summary.get("history") or ())

    def trace(
        self,
        images: Tensor,
        generator: torch.Generator,
        *,
        sample: bool = True,
        labels: Tensor | None = None,
        corruption: axes.Corruption | None = None,
    ) -> Trace:
        """One whole pass over `images (N, C, H, W)`, with corruption; all randomness comes from `generator`.

        For pairs, `images` holds the input's channels and then the target's; the targets are the images of
        the trace. With `sample` stochastic codes are drawn, and a decoder that samples is trained; otherwise
        it reconstructs. `corruption` stands in for the recipe's own.
        """
        self._check_memory(images.shape, backward=torch.is_grad_enabled())
        corrupted = corrupt(images, corruption or self.recipe.corruption, generator)
        if self.bottleneck.wants_jacobian:
            corrupted = replace(corrupted, input=corrupted.input.detach().requires_grad_())
        wants_grad = torch.is_grad_enabled() or self.bottleneck.wants_jacobian
        with torch.set_grad_enabled(wants_grad), self._attention():
            code, skips = self._encode(corrupted, generator, sample)
            if sample and self.recipe.backbone.samples:
                with self._autocast(images):
                    code, painted = self.decoder.denoise(code, corrupted.target, generator)
            else:
                painted = self._paint(code.values, images.shape[-2:], skips, drawn=True)
        raw, marked = painted[:, : self.output_channels], None
        if self.recipe.corruption.marks_defects:
            marked = painted[:, self.output_channels :]
        output = apply_range(raw, self.recipe.backbone.output)
        if self.recipe.corruption.is_paired:
            images = corrupted.target
        return Trace(images, corrupted, code, raw, output, self, generator, labels, marked)

    def _encode(
        self,
        corrupted: Corrupted,
        generator: torch.Generator,
        sample: bool,
        precision: torch.dtype | None = None,
    ) -> tuple[Latent, list[Tensor]]:
        features = self._features(corrupted, precision)
        return self.bottleneck(features.h.float(), generator, sample), features.skips

    def _features(self, corrupted: Corrupted, precision: torch.dtype | None = None) -> Features:
        x = corrupted.input
        if self.recipe.corruption.has_condition:
            condition = corrupted.condition if corrupted.condition is not None else torch.zeros_like(x[:, :1])
            x = torch.cat([x, condition], 1)
        size = round_up_size((x.shape[-2], x.shape[-1]), self.multiple)
        visible = None if corrupted.visible is None else pad_to_size(corrupted.visible.float(), size) > 0
        with self._autocast(x, precision):
            return cast(Features, self.encoder(pad_to_size(x, size), visible))

    def decode_raw(self, values: Tensor, size: tuple[int, ...], skips: list[Tensor]) -> Tensor:
        """Code values → the decoder's last layer `(N, C, *size)`, before its range is applied."""
        return self._paint(values, size, skips)[:, : self.output_channels]

    def _paint(
        self, values: Tensor, size: tuple[int, ...], skips: list[Tensor], *, drawn: bool = False,
        precision: torch.dtype | None = None, generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """As `decode_raw`, with the channel that marks defects behind the image's; `drawn`: sampled."""
        h, w = size
        padded, sample = round_up_size((h, w), self.multiple), self.decoder.sample
        with self._autocast(values, precision):
            raw = sample(values, padded, skips, generator) if drawn else self.decoder(values, padded, skips)
        return raw.float()[..., :h, :w] + self.offset

    def decode_prior(self, values: Tensor, size: tuple[int, ...]) -> Tensor:
        """Code values → images in the recipe's range, with gradients, for a critic on images."""
        return apply_range(self.decode_raw(values, size, []), self.recipe.backbone.output)

    def _autocast(self, like: Tensor, precision: torch.dtype | None = None) -> torch.autocast:
        narrow = (precision or self.precision) == torch.bfloat16
        return torch.autocast(like.device.type, torch.bfloat16, enabled=narrow)

    def _check_memory(self, shape: tuple[int, ...], *, backward: bool = False) -> None:
        if next(self.parameters()).device.type == "cpu":
            check_memory(self.recipe.backbone, self.recipe.geometry, shape, backward=backward)

    def _attention(self) -> contextlib.AbstractContextManager[None]:
        # The fused attention has no second derivative, which the gradient of a Jacobian penalty is.
        wants_second = self.bottleneck.wants_jacobian
        return sdpa_kernel(SDPBackend.MATH) if wants_second else contextlib.nullcontext()

    # ------------------------------------------------------------ use

    @limited()
    @torch.no_grad()
    def encode(self, images: Any, *, range: Range | None = None) -> Code:
        """The deterministic code of images: means, not samples; no corruption is added.

        Args:
            images: NumPy `(H, W)`, `(H, W, C)`, `(N, H, W)`, `(N, H, W, C)` of uint8, uint16 or floats in
                [0, 1], torch `(N, C, H, W)`, an image file's path or bytes, a Pillow image, `mnist:test[17]`,
                an ImageSet of one size, or a list. A model with a vector code resizes other sizes to its own
                and back.
            range: sample values (low, high) of black and white, if they are not those of the sample type.

        Raises:
            DataError: not images, samples out of range, another number of channels than the model reads, or
                so large that one does not fit into this machine's memory.
        """
        batch, kind = self._read(images, range)
        values = torch.cat([self.encode_batch(part) for part in torch.split(batch, images_per_pass(batch))])
        size = (batch.shape[-2], batch.shape[-1])
        return Code(convert_like(values, kind), self.recipe.geometry, size, kind)

    @limited()
    @torch.no_grad()
    def decode(self, code: Code | np.ndarray | Tensor) -> Any:
        """Images from a code, of the size and kind that the code came from.

        Bare arrays `(N, C)` or `(N, C, h, w)` give float images `(N, H, W, C)`, tensors `(N, C, H, W)`.

        Raises:
            CapabilityError: a model with skips cannot decode the code alone.
            DataError: the numbers have another shape than this model's code, or the image would not fit into
                this machine's memory.
        """
        capabilities.check_use(self.recipe, "decode")
        values = code.values if isinstance(code, Code) else code
        tensor = torch.as_tensor(np.asarray(values) if not isinstance(values, Tensor) else values).float()
        size = code.size if isinstance(code, Code) else self.canvas.size_of_code(tensor)
        check_code_shape(tensor, self.recipe.geometry.shape(round_up_size(size, self.multiple)), size)
        if self.recipe.geometry.is_grid:
            self._check_memory((1, self.channels, *size))
        parts = torch.split(tensor.to(next(self.parameters()).device), images_per_pass(None, size))
        images = [self.decode_batch(part, size) for part in parts]
        kind = code.kind if isinstance(code, Code) else plain_kind(values)
        if kind.is_single and len(tensor) != 1:
            kind = replace(kind, layout="NHW" if kind.layout == "HW" else "NHWC")
        return kind.restore(torch.cat(images))

    @limited()
    @torch.no_grad()
    def reconstruct(self, images: Any, *, range: Range | None = None) -> Any:
        """Encode and decode, also where the decoder needs the encoder's stages.

        Args:
            images, range: as for `encode`.

        Returns:
            The same kind, size, sample type and range; of a file NumPy `(H, W, C)`.

        Raises:
            DataError: as `encode`.
        """
        batch, kind = self._read(images, range)
        parts = [self.reconstruct_batch(part) for part in torch.split(batch, images_per_pass(batch))]
        return kind.restore(torch.cat(parts))

    def features(self, images: Tensor, precision: torch.dtype | None = None) -> Tensor:
        """`(N, C, H, W)` floats → the encoder's output before the bottleneck, one pass; for pairs, of the
        inputs.

        `precision`: of convolutions and products, float32 or bfloat16; by default the model's own.
        """
        images = images[:, : self.channels]
        return self._features(Corrupted(images, images), precision).h.float()

    def mark_batch(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` → logits `(N, H, W)` that a pixel is part of a defect; else CapabilityError."""
        capabilities.check_marks(self.recipe)
        latent, skips = self._encode_in_eval_mode(Corrupted(images, images))
        return self._paint(latent.values, images.shape[-2:], skips)[:, -1]

    def encode_batch(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` floats → code values, one pass, deterministic."""
        return self._encode_in_eval_mode(Corrupted(self.canvas.fit(images), images))[0].values

    def decode_batch(
        self, values: Tensor, size: tuple[int, int], generator: torch.Generator | None = None
    ) -> Tensor:
        """Code values → `(N, C, *size)` in [0, 1], one pass; `generator` as for `Decoder.sample`."""
        raw = self._paint(values, self.canvas.size_inside(size), [], drawn=True, generator=generator)
        return self._to_images(raw, size)

    def reconstruct_batch(
        self, images: Tensor, corrupted: Corrupted | None = None, precision: torch.dtype | None = None
    ) -> Tensor:
        """`(N, C, H, W)` → the same in [0, 1]; with `corrupted`, from that input; see `features`."""
        size = (images.shape[-2], images.shape[-1])
        if corrupted is None:
            corrupted = Corrupted(self.canvas.fit(images), images)
        latent, skips = self._encode_in_eval_mode(corrupted, precision)
        raw = self._paint(latent.values, corrupted.input.shape[-2:], skips, drawn=True, precision=precision)
        return self._to_images(raw, size)

    def _to_images(self, raw: Tensor, size: tuple[int, int]) -> Tensor:
        output = apply_range(raw[:, : self.output_channels], self.recipe.backbone.output)
        return self.canvas.restore(output.clamp(0, 1), size)

    def _encode_in_eval_mode(
        self, corrupted: Corrupted, precision: torch.dtype | None = None
    ) -> tuple[Latent, list[Tensor]]:
        was_training = self.training
        self.eval()
        try:
            return self._encode(corrupted, torch.Generator(device=corrupted.input.device), False, precision)
        finally:
            self.train(was_training)

    def _read(self, images: Any, value_range: Range | None) -> tuple[Tensor, Kind]:
        batch, kind = read_batch(images, self.channels, value_range)
        if self.recipe.geometry.is_grid:  # a vector code resizes images to one size first
            self._check_memory((images_per_pass(batch), *batch.shape[1:]))
        return batch.to(next(self.parameters()).device), kind

    @property
    def training_report(self) -> Any:
        """How the model was trained: a `TrainingResult`, as `isthmus.describe_training` gives it."""
        # Imported by name, because the api lies above the model.
        return import_module("isthmus.api.training_results").describe_training(self)

    def save(self, path: str | os.PathLike[str], *, force: bool = True) -> None:
        """Write the model file (see `isthmus.model.file.save`)."""
        from isthmus.model.file import save

        save(self, path, force=force)


def build(recipe: Recipe, *, channels: int, size: tuple[int, int], seed: int = 0) -> Autoencoder:
    """An untrained model whose first weights depend on `seed` alone."""
    with seeded(seed):
        model = Autoencoder(recipe, channels=channels, size=size)
    return channels_last(model)
