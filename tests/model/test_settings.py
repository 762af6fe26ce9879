"""Recipes and their settings: round trips, checks, and what a misspelt one is told."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import typing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import UsageError
from isthmus.model import axes
from isthmus.model.recipe import Recipe, read_recipe, write_recipe
from isthmus.model.recipes import RECIPES, recipe, summary
from isthmus.model.setting import Settings, as_text, from_text

POINTS = [point for points in axes.AXES.values() for point in points]


def strategy(point: type[Settings], name: str) -> st.SearchStrategy[Any]:
    """Every value that a setting may have."""
    field = next(f for f in dataclasses.fields(point) if f.name == name)
    kind = typing.get_type_hints(point)[name]
    options = typing.get_args(kind)
    if type(None) in options:
        kind = next(k for k in options if k is not type(None))
    low, high = field.metadata["low"], field.metadata["high"]
    values: st.SearchStrategy[Any]
    if typing.get_origin(kind) is typing.Literal:
        return st.sampled_from(typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return st.lists(st.integers(1, 65536), max_size=4).map(tuple)
    if kind is bool:
        return st.booleans()
    if kind is int:
        values = st.integers(None if low is None else int(low), None if high is None else int(high))
    elif kind is float:
        values = st.floats(low, high, allow_nan=False, allow_infinity=False)
    else:
        values = st.sampled_from(["mse", "bce", "0.8*mse+0.2*ssim@0.3"])
    return st.none() | values if type(None) in options else values


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    parts = {}
    for axis, points in axes.AXES.items():
        point = draw(st.sampled_from(points))
        parts[axis] = point(**{f.name: draw(strategy(point, f.name)) for f in dataclasses.fields(point)})
    code = draw(st.sampled_from(["auto", "64", "32@8"]))
    return Recipe(name="drawn", code=code, **typing.cast(Any, parts))


@given(recipes())
def test_a_recipe_survives_json(drawn: Recipe) -> None:
    assert Recipe.from_dict(json.loads(json.dumps(drawn.to_dict()))) == drawn


@given(recipes())
def test_the_text_of_every_setting_gives_the_setting_back(drawn: Recipe) -> None:
    """What `describe` shows can be given to `--set`."""
    rows = [f"{key}={value}" for key, value, _ in drawn.describe()]
    assert dataclasses.replace(Recipe().with_settings(rows), name="drawn") == drawn


@given(recipes())
def test_a_recipe_survives_toml(drawn: Recipe) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.toml"
        path.write_text(write_recipe(drawn), encoding="utf-8")
        assert read_recipe(path) == recipe(str(path)) == drawn


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("backbone = {", "not valid TOML"),
        ("[backbone]\nwidht = 3", "width"),
        ("[bottleneck]\nkind = 'gausian'", "gaussian"),
        ("code = '64@3'", "power of two"),
        ("[bakcbone]", "backbone"),
    ],
)
def test_a_wrong_recipe_file_is_named_with_what_is_wrong(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    for path in (tmp_path / "mine.toml", tmp_path / "other.toml"):
        with pytest.raises(UsageError) as caught:
            recipe(str(path))
        assert path.name in caught.value.message
        assert (message if path.exists() else "no recipe file") in caught.value.message


@pytest.mark.parametrize("name", RECIPES)
def test_every_key_of_a_named_recipe_can_be_set(name: str) -> None:
    named = recipe(name)
    assert named.name == name
    assert summary(name)
    for key, value, _ in named.describe():
        assert named.with_settings([f"{key}={value}"]).keys() == named.keys()
        assert named.with_settings({key: value}).keys() == named.keys()


@given(recipes())
def test_describe_covers_every_key_with_words(drawn: Recipe) -> None:
    rows = drawn.describe()
    assert [key for key, _, _ in rows] == drawn.keys()
    assert all(text for _, _, text in rows)


@pytest.mark.parametrize("point", POINTS, ids=lambda p: p.__name__)
def test_every_default_is_itself_allowed(point: type[Settings]) -> None:
    made = point()
    for field in dataclasses.fields(point):
        assert made.replace(field.name, as_text(getattr(made, field.name))) == made
    assert set(point.explain()) == {f.name for f in dataclasses.fields(point)}


@pytest.mark.parametrize(
    ("settings", "nearest_word"),
    [
        (["botleneck.weight=1"], "bottleneck.weight"),
        (["backbone.widht=64"], "width"),
        (["bottleneck=gausian"], "gaussian"),
        (["backbone.kind=convolution"], "conv"),
        (["critic=on-code"], "on-codes"),
        (["optimiser.name=adam"], "adamw"),
        (["objective.image=mes"], "mse"),
        (["objective.image=mse+ssmi"], "ssim"),
        (["corruption=mask", "corruption.shape=patch"], "patches"),
        (["optimiser.kind=adamw"], "optimiser"),
        (["backbone.width"], "KEY=VALUE"),
        (["code=64x8"], "32@8"),
    ],
)
def test_a_misspelling_is_told_the_nearest_known_word(settings: list[str], nearest_word: str) -> None:
    named = recipe("conv").with_settings(["bottleneck=l2"])
    with pytest.raises(UsageError) as caught:
        named.with_settings(settings)
    assert nearest_word in caught.value.message
    assert "\n" not in caught.value.message


def test_an_unknown_recipe_is_told_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="did you mean 'variational'"):
        recipe("variatonal")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimiser.rate", "-1"),
        ("optimiser.rate", "nan"),
        ("optimiser.rate", "inf"),
        ("optimiser.rate", "fast"),
        ("optimiser.batch", "0"),
        ("optimiser.batch", "2.5"),
        ("optimiser.batch", True),
        ("optimiser.beta2", "1"),
        ("optimiser.clip", 10**400),
        ("backbone.width", "-5"),
        ("backbone.width", "64--128"),
        ("backbone.width", "0"),
        ("backbone.width", "70000"),
        ("backbone.width", None),
        ("backbone.width", 3.5),
        ("backbone.width", [True]),
        ("backbone.width", "64-" * 70 + "64"),
        ("backbone.residual", "perhaps"),
        ("backbone.residual", 1),
        ("backbone.stem", 10**400),
        ("backbone.up", "sideways"),
        ("objective.image", ""),
        ("objective.image", "0.8*"),
        ("objective.image", "1.2.3*mse"),
        ("objective.image", "mse@2"),
        ("objective.image", "1e999*mse"),
        ("objective.image", "mse+mse"),
        ("objective.image", 7),
    ],
)
def test_values_out_of_bounds_or_of_the_wrong_type_are_refused(key: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        recipe("conv").with_settings({key: value})
    assert "\n" not in caught.value.message


@given(st.sampled_from(sorted(recipe("conv").keys())), st.text(max_size=12))
def test_no_text_at_all_raises_anything_but_a_usage_error(key: str, text: str) -> None:
    try:
        recipe("conv").with_settings([f"{key}={text}"])
    except UsageError as error:
        assert error.message


def test_choosing_a_kind_brings_its_own_defaults_in_any_order() -> None:
    changed = recipe("conv").with_settings(["backbone.width=7", "backbone.kind=dense"])
    assert changed.backbone == axes.Dense(width=(7,))
    assert recipe("collapsed").with_settings(["backbone=conv"]).backbone == axes.Conv()


def test_one_setting_needs_no_list_and_a_code_may_be_a_number() -> None:
    assert recipe("conv").with_settings("optimiser.batch=9").optimiser.batch == 9
    assert Recipe(code=typing.cast(str, 64)) == Recipe(code="64")
    assert recipe("conv").with_settings({"code": 16}).geometry.channels == 16


@pytest.mark.parametrize(
    "data",
    [
        {"bakcbone": {}},
        {"backbone": {"kind": "dense", "depth": 3}},
        {"backbone": {"kind": "dens"}},
        {"backbone": 3},
        {"backbone": [1, 2]},
        {"objective": {"image": "nonsense"}},
        {"code": "64@3"},
        {"backbone": {"kind": "dense", "width": [1.5]}},
        {"backbone": {"kind": "conv", "blocks": "many"}},
    ],
)
def test_plain_data_is_checked_like_settings(data: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Recipe.from_dict(data)


def test_plain_data_may_leave_out_what_is_default_and_name_a_kind_alone() -> None:
    assert Recipe.from_dict({"backbone": "dense"}) == Recipe(backbone=axes.Dense())
    assert Recipe.from_dict({"optimiser": {"rate": "1e-3"}}).optimiser.rate == 1e-3


@pytest.mark.parametrize(
    ("text", "value"), [("64-128", (64, 128)), ("64,128", (64, 128)), ("64", (64,)), ("none", ()), ("", ())]
)
def test_widths_are_read_in_both_ways_of_writing(text: str, value: tuple[int, ...]) -> None:
    assert from_text(text, tuple[int, ...], "width") == value
    assert from_text(as_text(value), tuple[int, ...], "width") == value
