"""A codec with a shallow decoder and overlapping pieces in all uses of compressed files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from skimage import data

import isthmus
from isthmus.codec.encoding import encode_picture_at
from isthmus.codec.fit import fit_tables
from isthmus.codec.picture import read_picture
from isthmus.codec.ready import make_codec
from isthmus.model.autoencoder import Autoencoder

SHALLOW = [
    "backbone.decoder=shallow",
    "backbone.overlap=true",
    "backbone.correction=8",
    "backbone.width=12-16",
]
RATES = ["backbone.width=12-16", "bottleneck.low=0.0007", "bottleneck.high=0.25"]


@pytest.fixture(scope="module")
def shallow(tmp_path_factory: pytest.TempPathFactory) -> Autoencoder:
    """Trained for three steps, with tables, as its file gives it."""
    photos = [photo[:128, :128] for photo in (data.astronaut(), data.coffee())]
    model = isthmus.train(
        np.stack(photos),
        recipe="codec",
        code="48@8",
        settings=[*SHALLOW, *RATES],
        steps=3,
        crop=64,
        precision="float32",
    )
    fit_tables(model, photos, qualities=(20.0, 80.0), steps=1, steps_next=1)
    path = tmp_path_factory.mktemp("shallow") / "shallow.safetensors"
    model.save(path)
    return isthmus.load(path)


@pytest.fixture
def photo() -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(data.chelsea()[40:173, 100:257])


def psnr(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


def test_tiles_and_regions_have_the_pixels_of_one_pass(
    shallow: Autoencoder, photo: npt.NDArray[np.uint8]
) -> None:
    codec = make_codec(shallow)
    tiled = encode_picture_at(read_picture(photo), codec, 7000, tile=32).data
    full_picture = isthmus.decompress(tiled, model=shallow)
    at_once = isthmus.decompress(encode_picture_at(read_picture(photo), codec, 7000).data, model=shallow)
    assert full_picture.shape == photo.shape and psnr(full_picture, photo) > 25
    # Choices of symbols depend on the tile, so a few pixels differ; a seam would be seen at the borders.
    assert abs(psnr(full_picture, photo) - psnr(at_once, photo)) < 0.1
    part = isthmus.decompress(tiled, model=shallow, region=(21, 13, 70, 90))
    assert np.abs(part.astype(int) - full_picture[21:91, 13:103]).max() <= 1


def test_files_reach_a_psnr_and_are_verified_previewed_and_opened(
    shallow: Autoencoder, photo: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    Image.fromarray(photo).save(tmp_path / "cat.png")
    made = isthmus.compress_files(
        tmp_path / "cat.png", out=tmp_path / "made", model=shallow, psnr=33, preview=32, verify=True
    )
    assert not made.skipped
    (path,) = (tmp_path / "made").iterdir()
    verified = isthmus.verify_files(path, model=shallow)
    assert verified.how == "decoded" and len(verified.files) == 1
    preview = isthmus.read_preview(path)
    assert preview is not None and max(preview.shape[:2]) == 32
    opened = isthmus.decompress(path, model=shallow)
    assert psnr(opened, photo) == pytest.approx(33, abs=0.3)
    result = isthmus.decompress_files(path, out=tmp_path / "out", model=shallow)
    assert not result.skipped
    (png,) = (tmp_path / "out").iterdir()
    assert np.array_equal(np.asarray(Image.open(png)), opened)


def test_higher_quality_and_effort_bring_less_error(
    shallow: Autoencoder, photo: npt.NDArray[np.uint8]
) -> None:
    sizes, reached = [], []
    for quality in (1, 50, 100):
        packed = isthmus.compress(photo, model=shallow, quality=quality)
        sizes.append(len(packed))
        reached.append(psnr(isthmus.decompress(packed, model=shallow), photo))
    assert sizes == sorted(sizes) and reached == sorted(reached)
    refined = isthmus.compress(photo, model=shallow, quality=50, effort=2)
    assert psnr(isthmus.decompress(refined, model=shallow), photo) > reached[0]
