"""Renames of keys, values and dotted names, in both directions."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.model.renames import PathRenames, Renames

DOCUMENT: dict[str, Any] = {
    "axis": {"kind": "l1", "weight": 2, "other": 1},
    "options": {"turn": True, "only": None},
    "history": [{"step": 1, "loss": 0.5}, {"step": 2}],
    "seed": 3,
}


@pytest.mark.parametrize(
    ("names", "path", "expected"),
    [
        (Renames(keys={"seed": "random_seed"}), "random_seed", 3),
        (Renames(keys={"options.turn": "options.orientations"}), "options.orientations", True),
        (Renames(keys={"options": "request", "options.turn": "options.flip"}), "request.flip", True),
        (Renames(keys={"axis:l1.weight": "axis:l1.strength"}), "axis.strength", 2),
        (Renames(keys={"axis:l2.weight": "axis:l2.strength"}), "axis.weight", 2),
        (Renames(keys={"history[].step": "history[].at"}), "history.1.at", 2),
        (Renames(keys={"seed": "options.seed"}), "options.seed", 3),
        (Renames(keys={"options.turn": "data.turn"}), "data.turn", True),
        (Renames(values={"axis.kind": {"l1": "absolute"}}), "axis.kind", "absolute"),
        (Renames(values={"options.turn": {True: "all"}}), "options.turn", "all"),
        (
            Renames(keys={"axis:l1.weight": "axis:l1.strength"}, values={"axis.kind": {"l1": "absolute"}}),
            "axis.strength",
            2,
        ),
        (
            Renames(keys={"axis": "code", "axis:l1.weight": "axis:l1.w"}, values={"axis.kind": {"l1": "a"}}),
            "code.w",
            2,
        ),
    ],
)
def test_a_rename_is_undone_by_its_inverse(names: Renames, path: str, expected: object) -> None:
    before = repr(DOCUMENT)
    current = names.current(DOCUMENT)
    node: Any = current
    for part in path.split("."):
        node = node[int(part)] if part.isdigit() else node[part]
    assert node == expected
    assert names.stored(current) == DOCUMENT or "data" in current  # an emptied object stays behind
    assert {k: v for k, v in names.stored(current).items() if v} == DOCUMENT
    assert names.current(current) == current  # current names are read as well
    assert repr(DOCUMENT) == before


def test_a_renamed_key_keeps_its_place() -> None:
    names = Renames(keys={"options.turn": "options.flip"})
    assert list(names.current(DOCUMENT)["options"]) == ["flip", "only"]
    assert repr(names.stored(names.current(DOCUMENT))) == repr(DOCUMENT)


def test_a_key_that_is_no_longer_read_is_dropped() -> None:
    names = Renames(keys={"options.only": None})
    assert names.current(DOCUMENT)["options"] == {"turn": True}
    assert names.stored({"options": {"turn": True}}) == {"options": {"turn": True}}


def test_an_object_without_a_kind_has_the_default_one() -> None:
    names = Renames(keys={"axis:l1.weight": "axis:l1.strength"}, default_kinds={"axis": "l1"})
    assert names.current({"axis": {"weight": 1}}) == {"axis": {"strength": 1}}
    assert names.current({"axis": {"kind": "l2", "weight": 1}}) == {"axis": {"kind": "l2", "weight": 1}}


def test_both_names_of_one_key_are_refused() -> None:
    for names in (Renames(keys={"a": "b"}), Renames(keys={"a": "c.b"})):
        with pytest.raises(ValueError, match="both given"):
            names.current({"a": 1, "b": 2, "c": {"b": 3}})


def test_tables_that_cannot_be_undone_are_refused() -> None:
    with pytest.raises(ValueError, match="stored and a current name"):
        Renames(keys={"a": "b", "b": "a"})
    with pytest.raises(ValueError, match="list"):
        Renames(keys={"a[].b": "c"})
    with pytest.raises(ValueError, match=r"numbers of '\*'"):
        PathRenames((("a.*", "b"),))


@pytest.mark.parametrize(
    ("rule", "stored", "current"),
    [
        (("encoder.stages", "encoder.levels"), "encoder.stages.0.weight", "encoder.levels.0.weight"),
        (("encoder.stages", "encoder.levels"), "encoder.stages_2.weight", "encoder.stages_2.weight"),
        (("encoder.stages", "encoder.levels"), "decoder.encoder.stages", "decoder.encoder.stages"),
        (("encoder.*.norm", "encoder.*.scale"), "encoder.3.norm.bias", "encoder.3.scale.bias"),
        (("**.norm", "**.scale"), "encoder.stages.1.norm.bias", "encoder.stages.1.scale.bias"),
        (("**.weight", "**.kernel"), "encoder.weight::step", "encoder.kernel::step"),
        (("encoder", "network.encoder"), "encoder.first.bias", "network.encoder.first.bias"),
    ],
)
def test_dotted_names_change_by_whole_parts(rule: tuple[str, str], stored: str, current: str) -> None:
    names = PathRenames((rule,))
    assert names.current(stored) == current
    assert names.stored(current) == stored


def test_rules_build_on_those_before() -> None:
    names = PathRenames((("a", "b"), ("b.x", "b.y")))
    assert names.current("a.x") == "b.y"
    assert names.stored("b.y") == "a.x"
