"""Messages, errors and notes keep a stable id and their values as data."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from isthmus.errors import (
    BusyError,
    DataError,
    ExistsError,
    Hint,
    MissingExtraError,
    OutputError,
    Stopped,
    UsageError,
    nearest,
)
from isthmus.images.opening import ImageFileError
from isthmus.log import SkippedInput, collect_notes, collected_notes, log_note
from isthmus.messages import Message, describe_messages, restore_message, to_field
from isthmus.wording import format_count


def test_a_message_is_its_sentence_and_keeps_the_parts() -> None:
    text = Message("{path}: {images} of {share:.0%}", id="a.b", path=Path("x"), images=3, share=0.5)
    assert text == "x: 3 of 50%" and isinstance(text, str)
    assert text.to_dict() == {
        "id": "a.b",
        "text": "x: 3 of 50%",
        "fields": {"path": "x", "images": 3, "share": 0.5},
    }


def test_braces_in_values_and_in_a_sentence_without_fields_are_kept() -> None:
    assert Message("{path}: broken", path="{a}{") == "{a}{: broken"
    assert Message("{not a field}") == "{not a field}"
    assert str(DataError("{0} {")) == "{0} {"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array([[1, 2]]), [[1, 2]]),
        (float("inf"), None),
        (np.dtype("uint8"), "uint8"),
        ((3, (4, Path("p"))), [3, [4, "p"]]),
        ({"a": True}, {"a": True}),
        (format_count(1234, "image"), 1234),
        (ValueError("bad"), "bad"),
        (DataError("{n} images", id="data.n", n=2), {"id": "data.n", "text": "2 images", "fields": {"n": 2}}),
    ],
)
def test_fields_are_json_values(value: object, expected: object) -> None:
    result = to_field(value)
    assert result == expected and type(result) is type(expected)
    json.dumps(result, allow_nan=False)


def test_an_error_has_id_fields_and_hint_as_data() -> None:
    error = DataError("{path}: no labels", id="data.no-labels", hint=Hint.add(force=True), path=Path("p"))
    assert str(error) == error.message == "p: no labels"
    assert error.to_dict() == {
        "class": "DataError",
        "id": "data.no-labels",
        "text": "p: no labels",
        "fields": {"path": "p"},
        "hint": {
            "text": "add force=True",
            "words": "",
            "use": "",
            "arguments": [],
            "options": {"force": True},
        },
    }
    assert UsageError("what").to_dict()["hint"] is None
    assert UsageError("what").id == "usage"


def test_an_error_because_of_another_holds_it() -> None:
    inner = DataError("{n} images", id="data.n", n=2)
    outer = DataError("{source}: {reason}", id="data.problem", source="s", reason=inner)
    assert str(outer) == "s: 2 images"
    assert outer.fields["reason"] == {"id": "data.n", "text": "2 images", "fields": {"n": 2}}


def test_a_message_is_taken_as_it_is() -> None:
    error = DataError(Message("{n} {{}}", id="data.n", n=2))
    assert (str(error), error.id, error.fields) == ("2 {}", "data.n", {"n": 2})


def test_errors_with_fixed_words() -> None:
    assert ExistsError("p").to_dict()["fields"] == {"path": "p"}
    assert str(ExistsError("{x}")) == "{x} exists; nothing was overwritten"
    assert str(BusyError("p")) == "another isthmus is working on p; nothing was changed"
    assert str(BusyError("p", "7")) == "another isthmus (process 7) is working on p; nothing was changed"
    assert MissingExtraError("UMAP", "umap").fields == {"what": "UMAP", "extra": "umap"}
    stopped = Stopped(3, 9, "f")
    assert str(stopped) == "stopped at step 3 of 9; state saved in f"
    assert stopped.message.id == "training.stopped" and stopped.fields["step"] == 3


def test_an_error_of_an_image_file_names_the_file_and_its_reason_alone() -> None:
    error = ImageFileError(
        "{a}.png", "no pixels in {width}×{height}", id="image-file.no-pixels", width=0, height=9
    )
    assert str(error) == "{a}.png: no pixels in 0×9"
    assert error.id == "image-file.no-pixels"
    assert error.fields == {"path": "{a}.png", "width": 0, "height": 9}
    assert error.reason == "no pixels in 0×9" and error.reason.fields == {"width": 0, "height": 9}


@pytest.mark.parametrize(
    "error",
    [
        DataError("{path}: {{", id="a.b", hint=Hint.add(force=True), path="{p}"),
        OutputError("{path} {", id="a"),
        ExistsError("p"),
    ],
)
def test_errors_are_pickled_and_copied(error: DataError | OutputError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (str(again), again.id, again.fields) == (str(error), error.id, error.fields)
        assert again.hint == error.hint and again.message.id == error.id


def test_a_suggestion_names_the_word() -> None:
    assert nearest("conf", ["conv"]).fields == {"name": "conv"}
    assert nearest("zzz", ["conv"]) == "; known: conv"


def test_notes_are_collected_with_their_data() -> None:
    with collect_notes():
        log_note("{n} images are left out", id="left-out", n=3)
        log_note("{n} images are left out", id="left-out", n=3)
        log_note("plain {braces}")
        result = collected_notes()
    assert [note.to_dict() for note in result] == [
        {"id": "left-out", "text": "3 images are left out", "fields": {"n": 3}},
        {"id": "note", "text": "plain {braces}", "fields": {}},
    ]


def test_a_skipped_input_says_why_as_data() -> None:
    skipped = SkippedInput("a.png", Message("cut at {byte}", id="image-file.short", byte=7))
    assert skipped.to_dict() == {
        "name": "a.png",
        "reason": "cut at 7",
        "id": "image-file.short",
        "fields": {"byte": 7},
    }
    assert SkippedInput("a.png", "why").id == "skipped"
    assert (
        SkippedInput("a.png", "cut at 7") == skipped
        and len({skipped, SkippedInput("a.png", "cut at 7")}) == 1
    )


def test_messages_are_found_again_by_what_was_stored() -> None:
    note = Message("{n} images", id="a.n", n=2)
    stored = json.loads(json.dumps(describe_messages([note, "plain"])))
    again = restore_message("2 images", stored)
    assert isinstance(again, Message) and again.to_dict() == note.to_dict()
    assert type(restore_message("plain", stored)) is str


@pytest.mark.parametrize("stored", [None, 3, {"t": 3}, {"t": {"id": 3, "fields": {}}}, {"t": {"id": "a"}}])
def test_what_is_stored_wrongly_is_left_alone(stored: object) -> None:
    assert restore_message("t", stored) == "t"
