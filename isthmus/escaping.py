"""Text that comes from files, escaped for where it goes: terminals, pages, scripts, tables, lists, drawings.

Names of files and classes, fields of models and messages of libraries may hold anything: terminal escapes,
line breaks, bidirectional controls, markup, spreadsheet formulas. Whatever shows them goes through here.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence

# Not printable by Python's rule, yet harmless: joiners of emoji and of Persian words, and kinds of spaces.
_HARMLESS = frozenset("\u200c\u200d\u00a0\u2007\u2009\u202f\u3000")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_QUOTE = "'"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_PLACEHOLDER = re.compile(r"\{\{([A-Z]+)\}\}")
_COMMENT = "#"


def for_terminal(text: str) -> str:
    """One line for a terminal: control, bidirectional and undecodable characters as `\\x1b`, `\\u202e`.

    Line breaks are escaped as well; text without any of these comes back unchanged.
    """
    if text.isprintable():
        return text
    return "".join(_escape_character(character) for character in text)


def for_terminal_lines(text: str) -> str:
    """`for_terminal` for each line of a text that the program itself has broken into lines."""
    return "\n".join(for_terminal(line) for line in text.split("\n"))


def for_html(text: str) -> str:
    """Text for an element or a quoted attribute of an HTML page: nothing in it is read as markup."""
    return html.escape(for_terminal_lines(text), quote=True)


def for_script(value: object) -> str:
    """A JSON value for a `<script>` element: ASCII, and nothing in it can end or open an element.

    Raises:
        ValueError: NaN or infinity in it, which JSON does not have.
    """
    text = json.dumps(value, allow_nan=False)  # ASCII, so U+2028 and lone surrogates are escapes already
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with each `{{NAME}}` replaced once; what a value holds is never searched for names.

    Args:
        values: finished text for each name, escaped by the caller for its place.

    Raises:
        KeyError: the template has a name without a value.
    """
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def for_markdown(text: str) -> str:
    """One line of Markdown, also within a table, that shows the text as it is."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~$&-])", r"\\\1", for_terminal(text))


def for_drawing(text: str, *, most: int = 100) -> str:
    """A label of a picture: one line of at most `most` characters, control characters shown."""
    visible = for_terminal(text)
    return visible if len(visible) <= most else f"{visible[: most - 1]}…"


def csv_cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula (OWASP, "CSV Injection"): such text begins with `'`.

    Text that begins with `'` itself gets another one, so that `csv_value` gives every text back exactly.
    Numbers stay as they are.
    """
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    return _QUOTE + value if value.startswith((*_FORMULA_STARTS, _QUOTE)) else value


def csv_value(cell: str) -> str:
    """The text that `csv_cell` made this cell of."""
    tail = cell[1:]
    return tail if cell.startswith(_QUOTE) and tail.startswith((*_FORMULA_STARTS, _QUOTE)) else cell


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as comma-separated values, every text cell by `csv_cell`; `csv_rows` reads them back."""
    lines = (",".join(_csv_text_of(value) for value in row) or '""' for row in (header, *rows))
    return "".join(f"{line}\n" for line in lines)


def csv_rows(text: str, delimiter: str = ",") -> list[list[str]]:
    """Header and rows of `csv_text`, every text as it was.

    Raises:
        ValueError: no such values, or a cell of more than 128 KiB.
    """
    lines = io.StringIO(text, newline="")
    try:
        return [[csv_value(cell) for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    except csv.Error as error:
        raise ValueError(str(error)) from None


def _csv_text_of(value: object) -> str:
    # Not by csv.writer: it leaves a carriage return unquoted, and then does not read it back.
    text = "" if value is None else str(csv_cell(value))
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


def list_line(name: str) -> str:
    """A line of a list of names: the name, or where that could not be read back, a JSON string.

    Quoted are names that are empty, begin with `#` or `"`, begin or end with a space, or hold a line break or
    another character that is not printable.
    """
    plain = name.isprintable() and name.strip() == name and not name.startswith((_COMMENT, '"'))
    return name if name and plain else json.dumps(name)


def list_names(text: str) -> list[str]:
    """The names in a list, one a line, as `list_line` writes them.

    Empty lines and lines that begin with `# ` are left out; a line that is a whole JSON string is its value,
    every other line stands for itself. Only LF and CR LF end a line.
    """
    names = []
    for line in text.removeprefix("\ufeff").split("\n"):
        bare = line.removesuffix("\r")
        if not bare.strip() or bare == _COMMENT or bare.startswith(f"{_COMMENT} "):
            continue
        names.append(_unquoted(bare))
    return names


def _unquoted(line: str) -> str:
    stripped = line.strip()
    if len(stripped) >= 2 and stripped.startswith('"') and stripped.endswith('"'):
        try:
            value = json.loads(stripped)
        except (ValueError, RecursionError):
            return line
        if isinstance(value, str):
            return value
    return line


def _escape_character(character: str) -> str:
    if character.isprintable() or character in _HARMLESS:
        return character
    return character.encode("unicode_escape").decode()
