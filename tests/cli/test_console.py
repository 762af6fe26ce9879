"""What a command says lands where it belongs."""

import json
import math
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from isthmus.api.result import to_json_value
from isthmus.cli.console import Console
from isthmus.cli.output_options import output_options
from isthmus.reports.tables import format_table

Capture = pytest.CaptureFixture[str]

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@click.command()
@output_options
def example(console: Console) -> None:
    console.note("a note")
    console.warn("a warning")
    with console.progress("working", 2) as line:
        line.update(1, "file a")
        line.update(2, "file b")
    console.result("a result")
    console.emit({"schema": "isthmus.example/1", "psnr": math.inf})


@pytest.mark.parametrize(
    ("options", "out", "said", "unsaid"),
    [
        ([], "a result\n", ["a note", "isthmus: warning: a warning", "working: 50%", "file b"], []),
        (["--quiet"], "a result\n", ["isthmus: warning: a warning"], ["a note", "working"]),
        (
            ["--json"],
            '{"schema": "isthmus.example/1", "psnr": null}\n',
            ["a note", "working: 100%"],
            ["a result"],
        ),
    ],
)
def test_results_on_stdout_and_the_rest_on_stderr(
    options: list[str], out: str, said: list[str], unsaid: list[str]
) -> None:
    ran = CliRunner().invoke(example, options)
    assert ran.exit_code == 0
    assert ran.stdout == out
    assert all(text in ran.stderr for text in said)
    assert not any(text in ran.stderr for text in unsaid)


@given(json_like)
def test_every_document_is_json_and_reads_back(value: object) -> None:
    text = json.dumps(to_json_value({"value": value}), allow_nan=False)
    assert json.loads(text) == to_json_value({"value": value})


@given(st.floats())
def test_only_finite_numbers_are_kept(number: float) -> None:
    assert to_json_value([number]) == [number if math.isfinite(number) else None]


def test_arrays_scalars_and_paths_become_plain() -> None:
    value = {"a": np.float32(0.5), "b": np.array([[1, 2]]), "c": Path("x"), "d": (np.int64(3), np.nan)}
    assert to_json_value(value) == {"a": 0.5, "b": [[1, 2]], "c": "x", "d": [3, None]}


def test_what_has_no_plain_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        to_json_value({"a": object()})


def test_a_json_run_prints_exactly_one_object() -> None:
    console = Console(json=True)
    console.emit({"schema": "isthmus.example/1"})
    with pytest.raises(RuntimeError, match="exactly one"):
        console.emit({"schema": "isthmus.example/1"})


def test_a_json_run_never_prints_nothing() -> None:
    @click.command()
    @output_options
    def silent(console: Console) -> None:
        console.result("forgot the object")

    ran = CliRunner().invoke(silent, ["--json"])
    assert isinstance(ran.exception, RuntimeError)


def test_a_document_without_a_schema_is_refused() -> None:
    with pytest.raises(ValueError, match=r"isthmus\.train/1"):
        Console().emit({"psnr": 30})


def test_a_table_aligns_words_left_and_numbers_right() -> None:
    text = format_table(("name", "psnr", "n"), [("conv", 30.12345, 10), ("collapsed", None, 9)])
    assert text == "name        psnr   n\nconv       30.12  10\ncollapsed      -   9"


@given(
    st.lists(st.tuples(st.text("ab ", max_size=8), st.floats(-1e6, 1e6) | st.none()), min_size=1, max_size=5)
)
def test_the_cells_of_a_column_of_numbers_end_together(rows: list[tuple[str, float | None]]) -> None:
    lines = format_table(("name", "value"), rows).splitlines()
    assert len(lines) == len(rows) + 1
    assert len({len(line) for line in lines}) == 1 or all(value is None for _, value in rows)


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        format_table(("a", "b"), [("x",)])
