"""A grid code that starts as a block cosine transform."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from isthmus.model.backbones.linear_path import BorderFilter, cosine_basis, lapped_filter
from isthmus.model.recipe import Recipe

from .cases import model_of, pictures


@pytest.mark.parametrize(("channels", "side", "count"), [(1, 4, 16), (3, 4, 20), (3, 8, 500), (2, 2, 3)])
def test_rows_are_orthonormal_and_no_more_than_there_are(channels: int, side: int, count: int) -> None:
    basis, spread = cosine_basis(channels, side, count)
    assert spread.shape == (len(basis),) and float(spread[0]) == 6 and bool((spread > 0).all())
    assert basis.shape == (min(count, channels * side**2), channels * side**2)
    torch.testing.assert_close(basis @ basis.t(), torch.eye(len(basis)), atol=1e-5, rtol=0)


def test_a_gray_piece_gets_the_coefficients_of_scipys_cosine_transform() -> None:
    piece = np.random.default_rng(0).random((8, 8), dtype=np.float32)
    numbers = cosine_basis(1, 8, 64)[0] @ torch.from_numpy(piece).flatten()
    oracle = dctn(piece, norm="ortho")
    np.testing.assert_allclose(np.sort(numbers.numpy()), np.sort(oracle.ravel()), atol=1e-5)
    assert float(numbers[0]) == pytest.approx(float(oracle[0, 0]), abs=1e-5)  # the mean comes first


@pytest.mark.parametrize("encoder", ["stages", "linear"])
@pytest.mark.parametrize("narrow", [False, True])  # stages narrower than the code
@pytest.mark.parametrize("refines", ["true", "false"])
@pytest.mark.parametrize("channels", [1, 3])
def test_untrained_it_already_codes_images(channels: int, refines: str, narrow: bool, encoder: str) -> None:
    all_rows = channels * 16
    settings = ["backbone.start=cosine", "backbone.output=linear", f"backbone.encoder={encoder}"]
    settings += [f"backbone.refines={refines}", f"backbone.width={8 if narrow else all_rows}"]
    model = model_of(Recipe(code=f"{all_rows}@4").with_settings(settings), (16, 16), channels)
    images = pictures(2, (16, 20), channels)
    model.start_at(images.mean((0, 2, 3)), images.std())
    assert float((model.reconstruct(images) - images).abs().max()) < 0.02
    flat = images.mean((0, 2, 3), keepdim=True).expand(1, channels, 16, 16)
    assert float(model.encode_batch(flat).detach().abs().mean()) < 0.02  # a code near zero for the mean image


@pytest.mark.parametrize("overlap", ["true", "false"])
@pytest.mark.parametrize("encoder", ["stages", "linear"])
@pytest.mark.parametrize(("channels", "size"), [(1, (16, 20)), (3, (16, 20)), (1, (4, 4)), (3, (4, 12))])
def test_a_shallow_decoder_begins_as_the_transform(
    channels: int, size: tuple[int, int], encoder: str, overlap: str
) -> None:
    settings = ["backbone.start=cosine", "backbone.output=linear", f"backbone.encoder={encoder}"]
    settings += ["backbone.decoder=shallow", f"backbone.overlap={overlap}", "backbone.width=8"]
    settings += ["backbone.refines=true"]
    model = model_of(Recipe(code=f"{channels * 16}@4").with_settings(settings), (16, 16), channels)
    images = pictures(2, size, channels)
    model.start_at(images.mean((0, 2, 3)), images.std())
    assert float((model.reconstruct(images) - images).abs().max()) < 1e-4
    flat = images.mean((0, 2, 3), keepdim=True).expand(1, channels, 16, 16)
    assert float(model.encode_batch(flat).detach().abs().max()) < 1e-4


@pytest.mark.parametrize("side", [2, 4, 8, 16])
def test_the_lapped_filter_is_orthonormal_and_keeps_even_images(side: int) -> None:
    weight = lapped_filter(side)
    torch.testing.assert_close(weight @ weight.t(), torch.eye(side), atol=1e-6, rtol=0)
    torch.testing.assert_close(weight.sum(1), torch.ones(side), atol=1e-6, rtol=0)
    image = torch.rand(1, 2, 3 * side, 4 * side, generator=torch.Generator().manual_seed(0))
    there = BorderFilter(side)(image)
    torch.testing.assert_close(BorderFilter(side, inverse=True)(there), image)
    half = side // 2
    assert torch.equal(there[..., :half, :half], image[..., :half, :half])  # outer borders stay


def test_overlap_packs_correlated_samples_better_than_pieces() -> None:
    """The coding gain of neighbours with correlation .95, which tables give as 9.46 and 9.76 dB."""
    side = 16
    basis = cosine_basis(1, side, side * side)[0].view(-1, side, side)
    waves = torch.stack([w[:, 0] * side**0.5 for w in basis if float(w.std(1).max()) < 1e-6]).double()
    place = torch.arange(2 * side)
    correlation = 0.95 ** (place[:, None] - place).abs().double()

    def gain(filter_: torch.Tensor) -> float:
        rows = torch.nn.functional.pad(waves, (side // 2, side // 2)) @ torch.block_diag(filter_, filter_)
        return float(-10 * (rows @ correlation * rows).sum(1).log10().mean())

    assert gain(torch.eye(side).double()) == pytest.approx(9.46, abs=0.01)
    assert gain(lapped_filter(side).double()) == pytest.approx(9.76, abs=0.01)


@pytest.mark.parametrize("overlap", ["true", "false"])
def test_the_energy_of_a_channel_is_that_of_what_it_paints(overlap: str) -> None:
    settings = ["backbone.start=cosine", "backbone.output=linear", "backbone.decoder=shallow"]
    settings += [f"backbone.overlap={overlap}"]
    model = model_of(Recipe(code="10@4").with_settings(settings), (16, 16), 3)
    with torch.no_grad():
        for name, value in model.decoder.named_parameters():
            if not name.startswith("last"):
                value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(1)), alpha=0.1)
        codes = torch.zeros(10, 10, 3, 3)
        codes[torch.arange(10), torch.arange(10), 1, 1] = 1
        painted = model.decoder(codes) - model.decoder(torch.zeros_like(codes))
        energy = model.decoder.linear_energy()
    assert energy is not None
    torch.testing.assert_close(energy, painted.square().sum((1, 2, 3)), rtol=1e-4, atol=1e-5)


def test_a_refining_decoder_corrects_across_the_borders_of_pieces() -> None:
    settings = [
        "backbone.start=cosine",
        "backbone.output=linear",
        "backbone.width=16",
        "backbone.refines=true",
    ]
    model = model_of(Recipe(code="16@4").with_settings(settings), (16, 16), 1)
    code = torch.zeros(1, 16, 4, 4)
    with torch.no_grad():
        weight = model.decoder.get_parameter("last.weight")
        weight.normal_(std=1.0, generator=torch.Generator().manual_seed(0))
        before = model.decode_batch(code, (16, 16))
        code[..., 1, 1] = 1.0
        moved = (model.decode_batch(code, (16, 16)) - before).abs()[0, 0]
    assert float(moved[4:8, 8:10].max()) > 1e-4  # beside the piece whose code changed
