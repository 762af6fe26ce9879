"""A GRU reads an image row by row into a vector and writes it out row by row (Srivastava et al. 2015).

It runs in float32 at every precision: recurrence repeats each rounding once per row.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.backbones.interface import Decoder, Encoder, Entry, Features, Plan
from isthmus.model.positions import PositionMap, position_map
from isthmus.model.recipe import Recipe


def build(recipe: Recipe, plan: Plan) -> tuple[Encoder, Decoder]:
    return RecurrentEncoder(recipe, plan), RecurrentDecoder(recipe, plan)


class RecurrentEncoder(Encoder):
    def __init__(self, recipe: Recipe, plan: Plan) -> None:
        super().__init__()
        assert isinstance(recipe.backbone, axes.Recurrent)
        width, depth = recipe.backbone.width[0], recipe.backbone.depth
        self.positions = position_map(recipe.positions, (plan.size[0], 1))
        self.rows = nn.GRU(
            plan.inputs * plan.size[1] + self.positions.channels, width, depth, batch_first=True
        )
        self.last = nn.Linear(width, plan.features)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Features:  # noqa: ARG002
        rows = x.permute(0, 2, 1, 3).flatten(2).float()  # (N, H, inputs·W)
        with torch.autocast(x.device.type, enabled=False):
            _, state = self.rows(_with_positions(rows, self.positions))
        return Features(self.last(state[-1]))


class RecurrentDecoder(Decoder):
    def __init__(self, recipe: Recipe, plan: Plan) -> None:
        super().__init__()
        assert isinstance(recipe.backbone, axes.Recurrent)
        width, depth = recipe.backbone.width[0], recipe.backbone.depth
        self.shape = (plan.size[0], plan.channels, plan.size[1])
        self.width, self.depth = width, depth
        self.entry = Entry(plan.geometry.channels, (1 + depth) * width, grid=False, unit=plan.unit_columns)
        self.positions = position_map(recipe.positions, (plan.size[0], 1))
        self.rows = nn.GRU(width + self.positions.channels, width, depth, batch_first=True)
        self.last = nn.Linear(width, plan.channels * plan.size[1])

    def forward(
        self,
        z: Tensor,
        size: tuple[int, int] | None = None,  # noqa: ARG002
        skips: Sequence[Tensor] = (),  # noqa: ARG002
    ) -> Tensor:
        entry = self.entry(z).float().view(-1, 1 + self.depth, self.width)
        # The code is the first state and also what every row reads: late rows need more than memory.
        state = entry[:, 1:].tanh().transpose(0, 1).contiguous()
        inputs = entry[:, :1].expand(-1, self.shape[0], -1)
        with torch.autocast(z.device.type, enabled=False):
            rows, _ = self.rows(_with_positions(inputs, self.positions), state)
        out: Tensor = self.last(rows)  # (N, H, C·W)
        return out.view(-1, *self.shape).permute(0, 2, 1, 3)


def _with_positions(rows: Tensor, positions: PositionMap) -> Tensor:
    if positions.channels == 0:
        return rows
    where = positions(rows.shape[1], 1, rows)[0, :, :, 0].T  # (H, P)
    return torch.cat([rows, where.expand(rows.shape[0], -1, -1)], -1)
