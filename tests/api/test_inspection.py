"""What files hold, and which recipes and models there are: without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.__main__ import main
from isthmus.api.inspection import CompressedFileInfo, ModelInfo
from isthmus.errors import ModelFileError, UsageError

from .parity import Parity

MODEL = "photos.safetensors"


def inspect_compressed() -> CompressedFileInfo:
    result = isthmus.inspect_file("photo.isth")
    assert isinstance(result, CompressedFileInfo)
    return result


PARITY = {
    "info": Parity(["info", MODEL], lambda: isthmus.inspect_file(MODEL)),
    "info, a shipped model": Parity(["info", "photo-codec"], lambda: isthmus.inspect_file("photo-codec")),
    "recipes": Parity(["recipes"], lambda: isthmus.list_recipes()),
    "recipes, one": Parity(["recipes", "sparse"], lambda: isthmus.describe_recipe("sparse")),
    "recipes, as a file": Parity(["recipes", "conv", "--toml"], lambda: isthmus.describe_recipe("conv")),
    "models": Parity(["models"], lambda: isthmus.list_models()),
    "models, one": Parity(["models", "photo-codec"], lambda: isthmus.list_models("photo-codec")),
}


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import isthmus, sys; isthmus.inspect_file('photo-codec').table(); isthmus.list_models().table(); "
        "isthmus.list_recipes().table(); isthmus.describe_recipe('conv').table(); "
        "print([name for name in ('torch', 'numpy', 'PIL', 'rich', 'sklearn') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_list_of_recipes_has_the_length_that_a_training_takes() -> None:
    images = np.zeros((20, 16, 16, 1), dtype=np.uint8)
    entries = {entry.name: entry for entry in isthmus.list_recipes().recipes}
    for name in ("conv", "generative"):
        settings = ["code=3", "backbone.width=4-8"] if name == "generative" else ["code=3"]
        seconds = isthmus.plan_training(images, recipe=name, settings=settings).seconds
        assert seconds / 60 == pytest.approx(entries[name].usual_minutes, rel=0.3), name
    assert (entries["features"].usual_minutes, entries["features"].usual_length) == (None, "1 pass")


@pytest.mark.usefixtures("here")
def test_a_model_file_is_described() -> None:
    result = isthmus.inspect_file(MODEL)
    assert isinstance(result, ModelInfo)
    assert (result.code, result.size, result.channels) == ("3", (12, 12), 1)
    assert result.bytes == Path(MODEL).stat().st_size
    assert result.numbers["encoder"] > 0
    assert "photos" in result.table()


@pytest.mark.usefixtures("here")
def test_a_compressed_file_is_described() -> None:
    Path("photo.isth").write_bytes(isthmus.compress(np.zeros((16, 24, 3), np.uint8)))
    result = inspect_compressed()
    assert (tuple(result.size), result.channels, result.alpha) == ((16, 24), 3, False)
    assert result.bpp == pytest.approx(8 * result.bytes / (16 * 24))
    assert sum(result.parts.values()) <= result.bytes
    assert "24×16, colour" in result.table()


@pytest.mark.usefixtures("here")
def test_files_of_other_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match="is not a model file but images"):
        isthmus.inspect_file("photos")
    with pytest.raises(ModelFileError, match="no model file"):
        isthmus.inspect_file("none.safetensors")
    Path("text.safetensors").write_text("not a model")
    with pytest.raises(ModelFileError):
        isthmus.inspect_file("text.safetensors")


@pytest.mark.usefixtures("here")
def test_a_recipe_is_written_as_a_file_that_is_read_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "sparse", "--toml"]) == 0
    Path("own.toml").write_text(capsys.readouterr().out)
    own = isthmus.describe_recipe("own.toml")
    assert own.recipe == isthmus.describe_recipe("sparse").recipe
    assert own.about == "the recipe in own.toml"


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'conv'"):
        isthmus.describe_recipe("cnv")
    with pytest.raises(UsageError, match="did you mean 'photo-codec'") as caught:
        isthmus.list_models("photo-codex")
    assert "isthmus.list_models()" in str(caught.value.hint)
