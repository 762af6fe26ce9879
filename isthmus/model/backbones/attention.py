"""Patches as tokens that attend to one another (Dosovitskiy et al. 2021).

Hidden patches are never encoded (He et al. 2022).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.backbones.interface import Decoder, Encoder, Entry, Features, Plan
from isthmus.model.positions import position_map
from isthmus.model.recipe import Recipe

# The fused attention's gradient in bfloat16 takes up to ten times longer on a CPU than its parts do, whose
# scores, a number for each pair of tokens, fit into memory as long as there are few.
FEW_TOKENS = 256


def build(recipe: Recipe, plan: Plan) -> tuple[Encoder, Decoder]:
    return AttentionEncoder(recipe, plan), AttentionDecoder(recipe, plan)


class AttentionEncoder(Encoder):
    def __init__(self, recipe: Recipe, plan: Plan) -> None:
        super().__init__()
        assert isinstance(recipe.backbone, axes.Attention)
        width = recipe.backbone.width[0]
        self.patch = self.multiple = recipe.backbone.patch_side(plan.geometry, plan.size)
        grid = (plan.size[0] // self.patch, plan.size[1] // self.patch)
        self.embed = nn.Linear(plan.inputs * self.patch**2, width)
        self.where = Where(recipe.positions, grid, width)
        self.blocks = nn.ModuleList(Block(width, recipe.backbone.heads) for _ in range(recipe.backbone.depth))
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Parameter(torch.randn(width) * 0.02)  # stands for a token that was not encoded
        self.is_grid = plan.geometry.is_grid
        # For a vector code, each token is first reduced, so that the last matrix stays small.
        share = plan.features if self.is_grid else max(8, min(width, 4 * plan.features) // 4)
        self.share = nn.Linear(width, share)
        self.last = nn.Identity() if self.is_grid else nn.Linear(share * grid[0] * grid[1], plan.features)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Features:
        n, _, h, w = x.shape
        rows, columns = h // self.patch, w // self.patch
        patches = F.pixel_unshuffle(x, self.patch).flatten(2).transpose(1, 2)  # (N, T, inputs·p²)
        tokens = self.where.add(self.embed(patches), rows, columns)
        visible_tokens = _seen_tokens(visible, self.patch)
        tokens = (
            self._attend(tokens, None)
            if visible_tokens is None
            else self._attend_seen(tokens, visible_tokens)
        )
        shares = self.share(self.norm(tokens))
        if self.is_grid:
            return Features(shares.transpose(1, 2).reshape(n, -1, rows, columns))
        return Features(self.last(shares.flatten(1)))

    def _attend_seen(self, tokens: Tensor, visible_tokens: Tensor) -> Tensor:
        # Only as many tokens as the fullest image shows are computed; an emptier one pads with masked tokens.
        count = max(int(visible_tokens.sum(1).max()), 1)
        order = visible_tokens.int().argsort(dim=1, descending=True, stable=True)[:, :count]  # (N, K)
        index = order[..., None].expand(-1, -1, tokens.shape[-1])
        is_visible = visible_tokens.gather(1, order)
        attended = self._attend(tokens.gather(1, index), None if bool(is_visible.all()) else is_visible)
        hidden = self.hidden.to(attended.dtype)
        return hidden.expand_as(tokens).scatter(
            1, index, torch.where(is_visible[..., None], attended, hidden)
        )

    def _attend(self, tokens: Tensor, keys: Tensor | None) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens, keys)
        return tokens


class AttentionDecoder(Decoder):
    """A grid code has one token per patch; a vector goes to every patch, and positions distinguish them."""

    def __init__(self, recipe: Recipe, plan: Plan) -> None:
        super().__init__()
        assert isinstance(recipe.backbone, axes.Attention)
        width = recipe.backbone.width[0]
        self.patch = recipe.backbone.patch_side(plan.geometry, plan.size)
        grid = (plan.size[0] // self.patch, plan.size[1] // self.patch)
        self.is_grid = plan.geometry.is_grid
        self.entry = Entry(plan.geometry.channels, width, grid=self.is_grid, unit=plan.unit_columns)
        self.where = Where(recipe.positions, grid, width)
        self.blocks = nn.ModuleList(Block(width, recipe.backbone.heads) for _ in range(recipe.backbone.depth))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, plan.channels * self.patch**2)

    def forward(
        self,
        z: Tensor,
        size: tuple[int, int] | None = None,
        skips: Sequence[Tensor] = (),  # noqa: ARG002
    ) -> Tensor:
        height, width = size or self.image_size(z)
        rows, columns = height // self.patch, width // self.patch
        entered: Tensor = self.entry(z)
        tokens = (
            entered.flatten(2).transpose(1, 2)
            if self.is_grid
            else entered[:, None].expand(-1, rows * columns, -1)
        )
        tokens = self.where.add(tokens, rows, columns)
        for block in self.blocks:
            tokens = block(tokens, None)
        patches = self.last(self.norm(tokens)).transpose(1, 2)  # (N, C·p², T)
        return F.pixel_shuffle(patches.reshape(z.shape[0], -1, rows, columns), self.patch)


class Where(nn.Module):
    """Adds a learned projection of the position map to tokens `(N, T, width)`."""

    def __init__(self, positions: axes.Positions, grid: tuple[int, int], width: int) -> None:
        super().__init__()
        self.map = position_map(positions, grid)
        self.project = nn.Linear(self.map.channels, width) if self.map.channels else None

    def add(self, tokens: Tensor, rows: int, columns: int) -> Tensor:
        if self.project is None:
            return tokens
        where = self.map(rows, columns, tokens.float()).flatten(2).transpose(1, 2)  # (1, T, P)
        moved: Tensor = tokens + self.project(where)
        return moved


class Block(nn.Module):
    """Pre-norm attention and a two-layer perceptron of four times the width (Vaswani et al. 2017)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, keys: Tensor | None) -> Tensor:
        """`keys (N, T)` boolean: False tokens are not attended to."""
        n, t, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mask = None if keys is None else keys[:, None, None, :]
        mixed = _mixed(q, k, v, mask)  # (N, heads, T, width/heads)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, t, width))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


def _mixed(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    if q.device.type != "cpu" or q.dtype != torch.bfloat16 or q.shape[-2] > FEW_TOKENS:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    mixed: Tensor = scores.softmax(-1).to(v.dtype) @ v
    return mixed


def _seen_tokens(visible: Tensor | None, patch: int) -> Tensor | None:
    if visible is None or bool(visible.all()):
        return None
    visible_tokens = (
        F.max_pool2d(visible.float(), patch).flatten(1) > 0
    )  # (N, T): a token with any visible pixel
    visible_tokens[:, 0] |= ~visible_tokens.any(1)  # attention over no token at all is not defined
    return visible_tokens
