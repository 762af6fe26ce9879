"""What makes a step faster changes none of its numbers."""

import copy
import os
import platform
from pathlib import Path

import pytest
import torch

from isthmus.model import axes
from isthmus.model.autoencoder import build
from isthmus.model.backbones.attention import Block
from isthmus.model.recipe import Recipe
from isthmus.training.losses import LossRecorder
from isthmus.training.optimisers import build_optimiser, clip_gradients
from isthmus.training.players import AutoencoderLearner
from isthmus.training.process_settings import kept_memory


def test_fused_steps_are_those_of_torchs_own_adamw() -> None:
    recipe = Recipe(code="4", backbone=axes.Dense(width=(8,)), optimiser=axes.Optimiser(weight_decay=0.1))
    ours = AutoencoderLearner(build(recipe, channels=1, size=(8, 8), seed=0))
    theirs = copy.deepcopy(ours)
    mine = build_optimiser(ours.players[0])
    groups = copy.deepcopy(theirs.players[0])
    reference = torch.optim.AdamW(
        [
            {"params": [p for p in groups.parameters if p.ndim >= 2], "weight_decay": 0.1},
            {"params": [p for p in groups.parameters if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=recipe.optimiser.peak_rate,
        betas=(0.9, 0.99),
        eps=1e-12,
        fused=True,
    )
    random = torch.Generator().manual_seed(1)
    for _ in range(3):
        for p, q in zip(ours.players[0].parameters, groups.parameters, strict=True):
            p.grad = torch.randn(p.shape, generator=random)
            q.grad = p.grad.clone()
        mine.step()
        reference.step()
    for p, q in zip(ours.players[0].parameters, groups.parameters, strict=True):
        assert torch.equal(p, q)
    for own, other in zip(mine.state.values(), reference.state.values(), strict=True):
        assert all(torch.equal(own[key], other[key]) for key in ("step", "exp_avg", "exp_avg_sq"))


def test_fused_steps_follow_indices_where_a_gradient_has_other_strides() -> None:
    recipe = Recipe(code="4", backbone=axes.Dense(width=(8,)))
    moved = []
    for transposed in (False, True):
        player = AutoencoderLearner(build(recipe, channels=1, size=(8, 8), seed=0)).players[0]
        random = torch.Generator().manual_seed(1)
        for p in player.parameters:
            gradient = torch.randn(p.shape, generator=random)
            p.grad = gradient.t().contiguous().t() if transposed and p.ndim == 2 else gradient
        build_optimiser(player).step()
        moved.append(player.parameters)
    for p, q in zip(*moved, strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("size", [0.01, 10.0])
def test_clipped_gradients_are_as_long_as_allowed_and_short_ones_untouched(size: float) -> None:
    recipe = Recipe(code="4", backbone=axes.Dense(width=(8,)), optimiser=axes.Optimiser(clip=1.0))
    player = AutoencoderLearner(build(recipe, channels=1, size=(8, 8), seed=0)).players[0]
    for parameter in player.parameters:
        parameter.grad = torch.full_like(parameter, size / sum(p.numel() for p in player.parameters) ** 0.5)
    before = [p.grad.clone() for p in player.parameters if p.grad is not None]
    clip_gradients(player)
    after = [p.grad for p in player.parameters if p.grad is not None]
    length = float(torch.nn.utils.get_total_norm(after))
    assert length == pytest.approx(min(size, 1.0), rel=1e-4)
    if size < 1:
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("masked", [False, True])
def test_attention_taken_apart_is_the_fused_one(masked: bool) -> None:
    torch.manual_seed(0)
    block = Block(16, 2)
    x = torch.randn(3, 10, 16)
    keys = torch.rand(3, 10) < 0.6 if masked else None
    if keys is not None:
        keys[:, 0] = True
    exact = block(x, keys)
    with torch.autocast("cpu", torch.bfloat16):
        apart = block(x, keys)
    assert torch.allclose(apart.float(), exact, atol=0.05)


def test_pooling_before_a_monotone_activation_gives_the_same_images() -> None:
    backbone = axes.Stacked(down="pool", width=(4, 8))
    model = build(Recipe(code="4", backbone=backbone), channels=1, size=(8, 8), seed=3)
    layer = model.encoder.get_submodule("layers.0")
    x = torch.randn(2, 1, 8, 8)
    expected = torch.nn.functional.max_pool2d(torch.relu(layer.get_submodule("0")(x)), 2)
    assert torch.equal(layer(x), expected)


def resident_bytes() -> int:
    """Memory of this process that lies in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is set")
def test_freed_memory_is_kept_inside_the_block_and_given_back_after_it() -> None:
    size = 64 * 2**20
    with kept_memory():
        pass  # what earlier tests have freed goes back, and cannot be taken for the block's
    start = resident_bytes()
    with kept_memory():
        block = torch.ones(size // 4)
        del block
        growth_bytes = resident_bytes() - start
    after = resident_bytes() - start
    assert growth_bytes > 0.9 * size
    assert after < 0.1 * size


def test_kept_losses_leave_no_holes_in_memory() -> None:
    recorder = LossRecorder()
    recorder.add(0, [({"mse": torch.tensor(0.5)}, 1.0)])
    assert [type(value) for _, losses in recorder._unread for value in losses.values()] == [float]
    assert recorder.means() == {"mse": 0.5}
