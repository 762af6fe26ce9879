"""Show a result: files, the JSON document, the table, what was skipped or left undone, and the exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import PurePath
from typing import Any

import click

from isthmus.api.result import PictureResult, Result
from isthmus.api.standard_streams import STREAM
from isthmus.cli.console import Console
from isthmus.cli.line import option_name
from isthmus.wording import choose_word, format_count

SKIPPED_EXIT_CODE = 3
INTERRUPTED_EXIT_CODE = 130


def check_outputs(
    result: type[Result], outputs: Sequence[str], *, force: bool, save_options: Mapping[str, Any]
) -> None:
    """Check before the work that the result can be saved to all files of `-o`.

    Raises:
        UsageError: a scale, and none of them is a picture.
        UsageError, ExistsError, OutputError: see `Result.check_path`.
    """
    if save_options and not any(_options_for(result, path, save_options) for path in outputs):
        unused = ", ".join(map(option_name, save_options))
        raise click.UsageError(f"{unused} has no effect: none of the outputs is a picture")
    for path in outputs:
        result.check_path(path, force=force, **_options_for(result, path, save_options))


def show(
    console: Console,
    result: Result,
    outputs: Sequence[str] = (),
    *,
    force: bool = False,
    rows: int | None = None,
    save_options: Mapping[str, Any] | None = None,
    finish: Callable[[], None] | None = None,
) -> None:
    """Save the result to its files and print it; end with exit code 3 where inputs were skipped, with 130
    where the work was interrupted.
    """
    options = {path: _options_for(type(result), path, save_options or {}) for path in outputs}
    save = partial(result.save, force=force)
    written = [
        path for path in outputs if console.save(path, partial(save, path, **options[path])) is not None
    ]
    document = result.to_dict()
    if type(result).formats != (".json",) and "out" not in result.document:
        document |= written_outputs(type(result), written) | result.describe_files(written)
    text = "\n".join(filter(None, (result.table(rows), result.summary())))
    if getattr(result, "out", None) == STREAM:  # the image itself went to standard output
        for line in text.splitlines():
            console.note(line)
    else:
        console.emit(document)
        console.result(text)
    for path in written:
        console.note(f"written: {path}")
    if finish is not None:
        finish()
    end_with_exit_code(console, result)


def _options_for(result: type[Result], path: str, save_options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `save` that concern this output: pictures can be enlarged, data cannot."""
    enlarged = issubclass(result, PictureResult) and result.is_enlarged(path)
    return {name: value for name, value in save_options.items() if name != "scale" or enlarged}


def written_outputs(result: type[Result], written: Sequence[str]) -> dict[str, str | None]:
    """The keys that the files of `-o` add to a document: `out`, and those of `Result.output_keys` that the
    result can be saved as; each the first file of its kind, or None.
    """
    keys = {suffix: key for suffix, key in result.output_keys.items() if suffix in result.formats}
    outputs: dict[str, str | None] = {"out": None, **dict.fromkeys(keys.values())}
    for path in written:
        key = keys.get(PurePath(path).suffix.lower(), "out")
        outputs[key] = outputs[key] or path
    return outputs


def end_with_exit_code(console: Console, result: Result) -> None:
    """Name the skipped inputs and how much is done; if it is not everything, end with exit code 3 or 130."""
    if console.silent:  # the first of several processes prints it, and ends with that code
        return
    count = len(result.incomplete)
    if count:
        outcome = "skipped" if count == len(result.skipped) else "skipped or not done in full"
        console.warn(f"{format_count(count, 'input')} {choose_word(count, 'was', 'were')} {outcome}:")
        for item in result.incomplete:
            console.warn(f"  {item.name}: {item.reason}")
    if result.interruption is not None:
        console.say_interrupted(result.interruption)
    if count or result.interruption is not None:
        interrupted = result.interruption is not None
        click.get_current_context().exit(INTERRUPTED_EXIT_CODE if interrupted else SKIPPED_EXIT_CODE)
