"""Count lines of code: physical lines that hold neither only a comment, nor a docstring, nor nothing.

    python tools/count_code.py [FOLDER]

The default folder is `isthmus`. Prints one row per room (a sub-folder, or a file at the top) and the total.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

IGNORED_TOKENS = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def count_code_lines(source: str) -> int:
    """Lines of `source` on which a token stands that is no comment, and that belong to no docstring."""
    docstring_lines: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if ast.get_docstring(node, clean=False) is not None and first is not None:
                docstring_lines.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in IGNORED_TOKENS:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstring_lines)


def count_rooms(folder: Path) -> dict[str, tuple[int, int]]:
    """(files, lines of code) of each sub-folder of `folder`, and of the files beside them as `(top)`."""
    files: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).parts
        room = parts[0] if len(parts) > 1 else "(top)"
        files[room] += 1
        lines[room] += count_code_lines(path.read_text("utf-8"))
    return {room: (files[room], lines[room]) for room in sorted(files)}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "isthmus"
    rooms = count_rooms(folder)
    for room, (files, lines) in rooms.items():
        print(f"{room:14} {files:4} files {lines:7,} lines")
    total_files, total_lines = (sum(counts) for counts in zip(*rooms.values(), strict=True))
    print(f"{'total':14} {total_files:4} files {total_lines:7,} lines")


if __name__ == "__main__":
    main()
