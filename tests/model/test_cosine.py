"""A grid code that starts as a block cosine transform."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from isthmus.model.backbones.linear_path import cosine_basis
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
    found = cosine_basis(1, 8, 64)[0] @ torch.from_numpy(piece).flatten()
    oracle = dctn(piece, norm="ortho")
    np.testing.assert_allclose(np.sort(found.numpy()), np.sort(oracle.ravel()), atol=1e-5)
    assert float(found[0]) == pytest.approx(float(oracle[0, 0]), abs=1e-5)  # the mean comes first


@pytest.mark.parametrize("encoder", ["stages", "linear"])
@pytest.mark.parametrize("narrow", [False, True])  # stages narrower than the code
@pytest.mark.parametrize("refines", ["true", "false"])
@pytest.mark.parametrize("channels", [1, 3])
def test_untrained_it_already_codes_images(channels: int, refines: str, narrow: bool, encoder: str) -> None:
    whole = channels * 16
    settings = ["backbone.start=cosine", "backbone.output=linear", f"backbone.encoder={encoder}"]
    settings += [f"backbone.refines={refines}", f"backbone.width={8 if narrow else whole}"]
    model = model_of(Recipe(code=f"{whole}@4").with_settings(settings), (16, 16), channels)
    images = pictures(2, (16, 20), channels)
    model.start_at(images.mean((0, 2, 3)), images.std())
    assert float((model.reconstruct(images) - images).abs().max()) < 0.02
    flat = images.mean((0, 2, 3), keepdim=True).expand(1, channels, 16, 16)
    assert float(model.encode_batch(flat).detach().abs().mean()) < 0.02  # a code near zero for the mean image


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
