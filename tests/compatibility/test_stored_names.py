"""Names in files are a format: they are listed here, and renames in the code go through a table.

`names.json` holds the names in the files of version 0.1: tensors, keys of headers, options, settings, kinds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

import isthmus
from isthmus.model import axes, stored_names
from isthmus.model.axes import AXES
from isthmus.model.first_settings import FIRST_KINDS, FIRST_SETTINGS
from isthmus.model.renames import PathRenames, Renames
from isthmus.model.setting import setting
from isthmus.model.stored_names import StoredNames

from . import adapter
from .checks import FILES, STEP, check_numbers, packed, read_arrays, read_header, run
from .names import names_of

HERE = Path(__file__).parent
LIKE = "photos/box/00.png"
NAMES: dict[str, Any] = json.loads((HERE / "names.json").read_text("utf-8"))


# ---------------------------------------------------------------- the names are what they were


@pytest.mark.parametrize("path", sorted(NAMES["tensors"]))
def test_the_files_have_the_listed_names(path: str) -> None:
    tensors, keys = names_of(Path(path))
    assert tensors == NAMES["tensors"][path]
    assert keys <= set(NAMES["keys"][Path(path).parts[0] if "/" in path else path])


@pytest.mark.parametrize("name", packed("models"))
def test_a_model_is_written_under_the_same_names(name: str, tmp_path: Path) -> None:
    path = f"models/{name}.safetensors"
    isthmus.load(path).save(tmp_path / "again.safetensors")
    tensors, keys = names_of(tmp_path / "again.safetensors")
    # Weights of 8 bits are written in 32 again.
    assert tensors == [key for key in NAMES["tensors"][path] if not key.endswith("::step")]
    # A later version may add keys; none of those before goes.
    assert names_of(Path(path))[1] <= keys


@pytest.mark.parametrize("name", ["conv", "vae-gan", "article-003", "private"])
def test_a_training_state_is_written_under_the_same_names(name: str, apart: Path, unpacked: Path) -> None:
    if name == "private":
        pytest.importorskip("opacus", reason="needs the extra 'privacy'")
    path = unpacked / "states" / f"{name}.resume.safetensors"
    (apart / "m.resume.safetensors").write_bytes(path.read_bytes())
    adapter.rewrite_state(apart / "m.resume.safetensors", "photos")
    tensors, keys = names_of(apart / "m.resume.safetensors")
    assert tensors == NAMES["tensors"][f"states/{name}.resume.safetensors"]
    assert names_of(path)[1] <= keys


def test_a_direction_and_an_index_are_written_under_the_same_names(apart: Path, unpacked: Path) -> None:
    model = str(unpacked / "models" / "conv.safetensors")
    run("direction", model, "--plus", "photos/disc", "--minus", "photos/box", "-o", "way.safetensors")
    features = str(unpacked / "models" / "features.safetensors")
    run("search", features, "photos", "--like", LIKE, "--index", "index.safetensors")
    for new, old in (("way", "direction-means"), ("index", "index")):
        tensors, keys = names_of(apart / f"{new}.safetensors")
        assert tensors == NAMES["tensors"][f"{old}.safetensors"]
        assert set(NAMES["keys"][f"{old}.safetensors"]) <= keys


def test_every_kind_and_setting_of_the_first_version_is_still_read() -> None:
    for axis, kinds in FIRST_SETTINGS.items():
        for kind, settings in kinds.items():
            point = {**({"kind": kind} if kind else {}), **settings}
            recipe = isthmus.Recipe.from_dict({axis: point})
            result = stored_names.stored_recipe(recipe.to_dict())[axis]
            assert point.items() <= result.items()


# ---------------------------------------------------------------- renames go through the table


def rewrite(path: Path, out: Path, tensors: Mapping[str, str], texts: Mapping[str, str]) -> None:
    """A copy of a safetensors file with other names of tensors and other words in its JSON."""
    arrays = safetensors.numpy.load_file(path)
    _, metadata = read_header(path)
    renamed: dict[str, Any] = {}
    for name, array in arrays.items():
        for before, after in tensors.items():
            name = re.sub(before, after, name)
        renamed[name] = array
    assert not tensors or set(renamed) != set(arrays)
    for key, text in metadata.items():
        for before, after in texts.items():
            assert before in text
            text = text.replace(before, after)
        metadata[key] = text
    safetensors.numpy.save_file(renamed, out, metadata)


# As if the code had renamed what the files here call by its names of today. (today's name, a stored name.)
RENAMED = StoredNames(
    recipe=Renames(
        keys={"backbone:convolutional.channels": "backbone:convolutional.width", "network_axis": "positions"},
        values={"backbone.kind": {"convolutional": "conv"}},
        default_kinds={**FIRST_KINDS, "backbone": "convolutional"},
    ),
    options=Renames(keys={"orientations": "turn"}),
    settled=Renames(keys={"images_per_step": "batch"}),
    summary=Renames(
        keys={"data.fingerprint_of_images": "data.fingerprint", "history[].at": "history[].step"}
    ),
    state=Renames(keys={"history[].at": "history[].step", "lowest": "best_loss"}),
    resume=Renames(keys={"cores": "threads"}),
    tensors=PathRenames((("encoder.levels", "encoder.stages"), ("**.kernels", "**.weight"))),
    resume_tensors=PathRenames((("moments.network", "moments.autoencoder"),)),
    attachments={"features": "readout", "prior/gauss": "prior/gaussian"},
    facts={"features": Renames(keys={"stage": "layer"}), "prior/gauss": Renames(keys={"groups": "classes"})},
    attachment_tensors={"features": PathRenames((("components", "basis"),))},
    index=Renames(keys={"of": "model"}),
    direction=Renames(keys={"of": "model"}),
)
TENSORS = {
    r"^((?:model|average|best)\.)?encoder\.stages\.": r"\1encoder.levels.",
    r"\.weight(::step)?$": r".kernels\1",
    r"^moments\.autoencoder\.": "moments.network.",
    r"^attached\.readout\.": "attached.features.",
    r"^attached\.features\.basis$": "attached.features.components",
    r"^attached\.prior/gaussian\.": "attached.prior/gauss.",
}
RECIPE = {
    '"backbone": {"kind": "conv", "width"': '"backbone": {"kind": "convolutional", "channels"',
    '"positions": {': '"network_axis": {',
}
TEXTS = {
    **RECIPE,
    '"turn"': '"orientations"',
    '"batch": 22': '"images_per_step": 22',
    '"fingerprint"': '"fingerprint_of_images"',
    '"history": [{"step"': '"history": [{"at"',
    '}, {"step"': '}, {"at"',
}


def old_model(name: str, out: Path, more: Mapping[str, str] | None = None) -> Path:
    rewrite(Path(f"models/{name}.safetensors"), out, TENSORS, {**TEXTS, **(more or {})})
    return out


def test_a_model_with_older_names_is_read_and_written_under_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readout = {'"readout": {"layer"': '"features": {"stage"'}
    path = old_model("readout", tmp_path / "old.safetensors", readout)
    with pytest.raises(isthmus.IsthmusError):
        isthmus.load(path)
    monkeypatch.setattr(stored_names, "NAMES", RENAMED)
    model, same = isthmus.load(path), isthmus.load("models/readout.safetensors")
    assert model.recipe == same.recipe
    assert model.summary == same.summary
    images = read_arrays(FILES / "tried.npz")["gray"]
    assert np.array_equal(model.encode(images), same.encode(images))
    result = isthmus.embed(model, "photos").vectors
    check_numbers(result, read_arrays(FILES / "expected" / "uses-readout.npz")["vectors"])
    model.save(tmp_path / "again.safetensors")
    again, before = names_of(tmp_path / "again.safetensors"), names_of(path)
    assert again[0] == before[0]
    newer = {key.removeprefix("isthmus: recipe.backbone.") for key in again[1] - before[1]}
    assert before[1] <= again[1] and newer.isdisjoint(FIRST_SETTINGS["backbone"]["conv"])
    # What is fitted later is added to the file under stored names, too.
    run("prior", str(path), "photos", "--kind", "gaussian")
    assert "attached.prior/gauss.mean" in names_of(path)[0]
    assert isthmus.generate(str(path), 2, label="disc").pixels.shape == (2, 16, 16, 1)


def test_the_summary_of_an_older_model_is_understood(
    apart: Path, unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(unpacked)
    path = old_model("conv", apart / "old.safetensors")
    monkeypatch.chdir(apart)
    monkeypatch.setattr(stored_names, "NAMES", RENAMED)
    document = run("evaluate", str(path), "photos")
    assert document["gap"] is not None  # its training images were found by fingerprint and options
    assert run("info", str(path))["summary"]["history"][0]["step"] == 1.0


def test_a_training_state_with_older_names_goes_on_alike(
    apart: Path, unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {k: v for k, v in TEXTS.items() if "fingerprint" not in k} | {
        '"best_loss"': '"lowest"',
        '"threads"': '"cores"',
    }
    state = unpacked / "states" / "conv.resume.safetensors"
    rewrite(state, apart / "m.resume.safetensors", TENSORS, texts)
    before = names_of(apart / "m.resume.safetensors")
    monkeypatch.setattr(stored_names, "NAMES", RENAMED)
    result = adapter.next_step(apart / "m.resume.safetensors", "photos")
    expected = read_arrays(FILES / "states" / "conv.npz")
    assert set(result) == set(expected)
    for key, array in expected.items():
        assert abs(adapter.sample(result[key]) - array).max() <= STEP
    adapter.rewrite_state(apart / "m.resume.safetensors", "photos")
    tensors, keys = names_of(apart / "m.resume.safetensors")
    assert tensors == before[0]
    assert keys >= before[1]  # later versions may add keys


def test_an_index_and_a_direction_with_older_names_are_read(
    apart: Path, unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = {r"^readout\.basis$": "readout.components"}
    texts = {'"model"': '"of"', '"layer"': '"stage"'}
    rewrite(unpacked / "index.safetensors", apart / "index.safetensors", tensors, texts)
    rewrite(unpacked / "direction-means.safetensors", apart / "way.safetensors", {}, {'"model"': '"of"'})
    before = (apart / "index.safetensors").read_bytes()
    model = str(unpacked / "models" / "features.safetensors")
    names = StoredNames(
        facts={"readout": RENAMED.facts["features"]},
        attachment_tensors={"readout": RENAMED.attachment_tensors["features"]},
        index=RENAMED.index,
        direction=RENAMED.direction,
    )
    # The models keep the names of today: only these two files are older.
    monkeypatch.setattr(stored_names, "NAMES", names)
    result = isthmus.search(model, "photos", LIKE, index=apart / "index.safetensors")
    assert (result.added, result.removed) == (0, 0)
    assert (apart / "index.safetensors").read_bytes() == before
    conv = str(unpacked / "models" / "conv.safetensors")
    run("transform", conv, LIKE, "--along", "way.safetensors", "-o", "moved.png")


def test_a_toml_recipe_with_older_names_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_names, "NAMES", RENAMED)
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    # Without a kind, a backbone is `conv`; a bare word is a kind.
    old.write_text('network_axis = "learned"\n[backbone]\nchannels = [4, 6]\n')
    new.write_text('positions = "learned"\n[backbone]\nkind = "conv"\nwidth = [4, 6]\n')
    recipes = [isthmus.recipe(str(path)).to_dict() | {"name": ""} for path in (old, new)]
    assert recipes[0] == recipes[1]
    assert recipes[0]["backbone"]["width"] == [4, 6]
    old.write_text('network_axis = "learned"\n[backbone]\nkind = "conv"\nchannels = [4, 6]\n')
    assert isthmus.recipe(str(old)).to_dict() | {"name": ""} == recipes[0]  # both spellings in one file
    old.write_text('network_axis = "learned"\npositions = "none"\n')
    with pytest.raises(isthmus.IsthmusError, match="both given"):
        isthmus.recipe(str(old))


# ---------------------------------------------------------------- hashes are taken over stored names


def renamed_today(name: str) -> str:
    """As if the code had renamed a part of every network since."""
    return re.sub(r"^(encoder|decoder)\.", r"\1_network.", name)


CODE_RENAMED = StoredNames(
    tensors=PathRenames((("encoder", "encoder_network"), ("decoder", "decoder_network"))),
    attachments={"codec": "codec"},
    attachment_tensors={"codec": PathRenames((("proof", "self_test"),))},
)


@pytest.mark.parametrize("name", ["own", "shipped"])
def test_a_codec_keeps_its_fingerprint_when_the_code_renames(
    name: str, facts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = {"own": "models/codec-tables.safetensors"}.get(name)
    model = isthmus.load(path) if path is not None else adapter.shipped_codec()
    tensors = {renamed_today(key): tensor for key, tensor in model.state_dict().items()}
    assert set(tensors) != set(model.state_dict())
    monkeypatch.setattr(type(model), "state_dict", lambda _: tensors)
    monkeypatch.setattr(
        model.attachments["codec"],
        "tensors",
        {key.replace("proof", "self_test"): t for key, t in model.attachments["codec"].tensors.items()},
    )
    assert adapter.fingerprint_of(model).hex() != facts["codecs"][name]
    monkeypatch.setattr(stored_names, "NAMES", CODE_RENAMED)
    assert adapter.fingerprint_of(model).hex() == facts["codecs"][name]


@pytest.mark.parametrize("name", ["conv", "features", "vae-gan"])
def test_a_model_keeps_its_mark_when_the_code_renames(
    name: str, facts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = isthmus.load(f"models/{name}.safetensors")
    tensors = {renamed_today(key): tensor for key, tensor in model.state_dict().items()}
    monkeypatch.setattr(type(model), "state_dict", lambda _: tensors)
    recipe = {("places" if key == "positions" else key): v for key, v in model.recipe.to_dict().items()}
    recipe["backbone"] = {"kind": "renamed"} | {k: v for k, v in recipe["backbone"].items() if k != "kind"}
    kind = model.recipe.backbone.kind
    names = StoredNames(
        recipe=Renames(
            keys={"positions": "places"},
            values={"backbone.kind": {kind: "renamed"}},
            default_kinds=FIRST_KINDS,
        ),
        tensors=CODE_RENAMED.tensors,
    )
    monkeypatch.setattr(type(model.recipe), "to_dict", lambda _: recipe)
    monkeypatch.setattr(stored_names, "NAMES", names)
    assert [adapter.mark_of(model), adapter.mark_of(model, decoder=False)] == facts["marks"][name]


@dataclass(frozen=True, kw_only=True)
class WiderConv(axes.Conv):
    """`conv` as a later version may have it: a new setting, declared before and after the others."""

    dilation: int = setting(1, "a setting that version 0.1 did not have")


@pytest.mark.parametrize("name", ["conv", "codec-tables", "vae-gan"])
def test_a_new_setting_at_its_default_stays_out_of_hashes(
    name: str, facts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    points = tuple(WiderConv if point is axes.Conv else point for point in AXES["backbone"])
    monkeypatch.setitem(AXES, "backbone", points)
    model = isthmus.load(f"models/{name}.safetensors")
    assert model.recipe.to_dict()["backbone"]["dilation"] == 1
    assert adapter.mark_of(model) == facts["marks"][name][0]
    if name == "codec-tables":
        assert adapter.fingerprint_of(model).hex() == facts["codecs"]["own"]
    changed = model.recipe.with_settings({"backbone.dilation": 2})
    monkeypatch.setattr(model, "recipe", changed)
    assert adapter.mark_of(model) != facts["marks"][name][0]


def first_recipe(name: str) -> dict[str, Any]:
    """A recipe with the settings of version 0.1 alone."""
    recipe = isthmus.recipe(name).to_dict()
    return {
        key: {k: v for k, v in value.items() if k == "kind" or k in _first_settings(key, value)}
        if isinstance(value, dict)
        else value
        for key, value in recipe.items()
    }


def _first_settings(axis: str, point: Mapping[str, Any]) -> Mapping[str, Any]:
    return FIRST_SETTINGS[axis][point.get("kind", "")]


def test_a_newer_setting_at_its_default_stays_out_of_hashes() -> None:
    recipe = isthmus.recipe("conv").to_dict()
    defaults = {axis: dict(value) for axis, value in recipe.items() if isinstance(value, dict)}
    assert recipe != first_recipe("conv")  # `overlap` is newer
    assert stored_names.hashed_recipe(recipe, defaults) == first_recipe("conv")
    changed = {**recipe, "backbone": {**recipe["backbone"], "overlap": True}}
    hashed = stored_names.hashed_recipe(changed, defaults)
    assert hashed["backbone"] == {**first_recipe("conv")["backbone"], "overlap": True}


def test_a_new_axis_at_its_default_stays_out_of_hashes() -> None:
    recipe = first_recipe("conv")
    defaults = {axis: dict(value) for axis, value in recipe.items() if isinstance(value, dict)}
    expected = stored_names.hashed_recipe(recipe, defaults)
    assert expected == recipe
    assert list(expected) == list(recipe)
    with_axis = {**recipe, "loss_schedule": {"kind": "none", "length": 3}}
    usual = {**defaults, "loss_schedule": {"kind": "none", "length": 3}}
    assert stored_names.hashed_recipe(with_axis, usual) == expected
    changed = {**recipe, "loss_schedule": {"kind": "none", "length": 4}}
    assert stored_names.hashed_recipe(changed, usual) != expected
    other_kind = {**recipe, "loss_schedule": {"kind": "cosine", "length": 3}}
    assert stored_names.hashed_recipe(other_kind, usual) != expected


def test_a_setting_that_is_gone_is_hashed_with_its_first_default() -> None:
    recipe = first_recipe("conv")
    defaults = {axis: dict(value) for axis, value in recipe.items() if isinstance(value, dict)}
    without = {**recipe, "optimiser": {k: v for k, v in recipe["optimiser"].items() if k != "drops"}}
    assert stored_names.hashed_recipe(without, defaults) == recipe


def test_the_order_of_declaration_plays_no_part() -> None:
    recipe = first_recipe("codec")
    defaults = {axis: dict(value) for axis, value in recipe.items() if isinstance(value, dict)}
    backwards = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in reversed(recipe.items())
    }
    assert repr(stored_names.hashed_recipe(backwards, defaults)) == repr(recipe)


def test_the_weights_play_a_part(facts: dict[str, Any]) -> None:
    model = isthmus.load("models/codec-tables.safetensors")
    with torch.no_grad():
        next(model.parameters()).add_(1e-3)
    assert adapter.fingerprint_of(model).hex() != facts["codecs"]["own"]
    assert adapter.mark_of(model) != facts["marks"]["codec-tables"][0]
