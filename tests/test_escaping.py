"""Text from files is harmless wherever it is shown, and what is to be read back comes back exactly."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.escaping import (
    csv_rows,
    csv_text,
    fill,
    for_drawing,
    for_html,
    for_markdown,
    for_script,
    for_terminal,
    list_line,
    list_names,
)

TEXT = st.text(
    st.sampled_from("aé=+-@'\"#,$|<>&{}\t\r\n\0\x07\x1b\x7f\x85\u009b\u2028\u2029\u202e\u2066\ufeff\udcff ")
    | st.characters(),
    max_size=12,
)


@given(TEXT)
def test_a_terminal_gets_one_line_without_controls(text: str) -> None:
    shown = for_terminal(text)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    assert not any(c in "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069" for c in shown)
    shown.encode()  # no lone surrogate


def test_ordinary_text_is_shown_as_it_is() -> None:
    for text in ("photos/a b.png", "Übung", "日本語", "👩\u200d👧", "می\u200cخواهم", "10\u00a0%"):
        assert for_terminal(text) == text
    assert for_terminal("a\x1b[31m\n\u202e") == "a\\x1b[31m\\n\\u202e"


@given(TEXT)
def test_a_page_shows_text_and_no_markup(text: str) -> None:
    tags: list[str] = []
    shown: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            shown.extend(str(value) for _, value in attrs)

        def handle_data(self, data: str) -> None:
            shown.append(data)

    Reader().feed(f'<p title="{for_html(text)}">x{for_html(text)}</p>')
    assert tags == ["p"]
    assert len(shown) == 2
    assert shown[1] == "x" + shown[0]


@given(
    st.recursive(TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
)
def test_a_script_element_cannot_be_ended_from_within(value: object) -> None:
    text = for_script(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not set("<>&") & set(text)


def test_a_template_is_filled_once() -> None:
    page = fill("<h1>{{TITLE}}</h1>{{DATA}}", {"TITLE": "{{DATA}}", "DATA": "{{TITLE}}{{x}}"})
    assert page == "<h1>{{DATA}}</h1>{{TITLE}}{{x}}"


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_tables_come_back_exactly_and_hold_no_formula(names: list[str]) -> None:
    text = csv_text(("name", "score"), [(name, 0.5) for name in names])
    assert csv_rows(text) == [["name", "score"], *([name, "0.5"] for name in names)]
    for _, *cells in csv.reader(io.StringIO(csv_text((), [(0, name) for name in names]), newline="")):
        assert not any(re.match(r"[=@\t\r]|[+-](?![0-9.]*([eE][+-]?[0-9]+)?$)", cell) for cell in cells)


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-x.png", "@sum", "\t=1", "\r=1", "＝1", "'=1", "''"])
def test_formulas_are_prefixed(name: str) -> None:
    text = csv_text(("name",), [(name,)])
    assert text.splitlines()[1].strip('"').startswith("'")
    assert csv_rows(text)[1] == [name]


def test_numbers_stay_numbers() -> None:
    assert csv_text(("a",), [("-1.5e-05",), (-2,), ("+3",)]).split() == ["a", "-1.5e-05", "-2", "+3"]


@given(st.lists(TEXT, max_size=6))
def test_lists_of_names_come_back_exactly(names: list[str]) -> None:
    lines = "".join(f"{list_line(name)}\n" for name in names)
    lines.encode()
    assert list_names(lines) == names


def test_lists_that_people_write_are_read() -> None:
    text = '\ufeff# chosen by hand\r\na.png\r\n#1.png\n\n  b c.png\nd\u2028e.png\n"quoted.png\n'
    assert list_names(text) == ["a.png", "#1.png", "  b c.png", "d\u2028e.png", '"quoted.png']


def test_pictures_and_cards_show_one_line() -> None:
    assert for_drawing("a\nb" + "x" * 10**5, most=20) == "a\\nb" + "x" * 15 + "…"
    assert for_markdown("a|b\n<img>`x`") == r"a\|b\\n\<img\>\`x\`"
