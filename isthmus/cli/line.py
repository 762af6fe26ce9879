"""Words as a command line that can be copied and run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from isthmus.errors import Hint

# Functions of `isthmus` whose command bears another name.
COMMANDS = {
    "check_machine": "doctor",
    "code_map": "map",
    "compress_files": "compress",
    "decompress_files": "decompress",
    "denoise_files": "denoise",
    "describe_recipe": "recipes",
    "diagnose": "doctor",
    "export_onnx": "export",
    "find_direction": "direction",
    "fit_prior": "prior",
    "inpaint_files": "inpaint",
    "inspect_file": "info",
    "list_models": "models",
    "list_recipes": "recipes",
    "reconstruct_files": "reconstruct",
    "run_demo": "demo",
    "verify_files": "verify",
}


def option_name(name: str) -> str:
    """The option that sets the parameter `name` of a function: `--false-alarms` for `false_alarms`."""
    return "--set" if name == "settings" else "--" + name.replace("_", "-")


def format_hint(hint: Hint) -> str:
    """A hint in the shell's spelling."""
    if not hint.options and not hint.use:
        return hint.words
    options = _option_words(hint)
    if hint.use:
        return command_line([COMMANDS.get(hint.use, hint.use), *hint.arguments, *options])
    added = f"repeat the command with {_quote(options)}"
    return f"{hint.words}, or {added}" if hint.words else added


def format_options(hint: Hint) -> str:
    """Words and options alone, such as `--code 8`, in the shell's spelling."""
    return ", or ".join(filter(None, (hint.words, _quote(_option_words(hint)))))


def _option_words(hint: Hint) -> list[str]:
    options: list[str] = []
    for name, value in hint.options:
        flag = option_name(name)
        if value is False:
            options.append("--no-" + flag[2:])
        elif value is True:
            options.append(flag)
        elif _is_pair_of_numbers(value):
            options += [flag, ",".join(f"{number:g}" for number in value)]
        elif isinstance(value, (list, tuple)):
            for item in value:
                options += [flag, str(item)]
        else:
            options += [flag, str(value)]
    return options


def _quote(words: Sequence[str]) -> str:
    return command_line(words).removeprefix("isthmus").lstrip()


def _is_pair_of_numbers(value: object) -> TypeGuard[tuple[float, float]]:
    """Whether a value is a range, which is written `LOW,HIGH` behind one option."""
    return (
        isinstance(value, tuple) and len(value) == 2 and all(isinstance(item, (int, float)) for item in value)
    )


def command_line(words: Sequence[str]) -> str:
    """`isthmus` and these words, quoted for the shell of this platform; a training by torchrun stays one."""
    begin = ["isthmus"]
    several = os.environ.get("LOCAL_WORLD_SIZE", "1")
    if words[:1] == ["train"] and several != "1":
        begin = ["torchrun", "--nproc-per-node", several, "-m", "isthmus"]
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline([*begin, *words])
    import shlex

    return shlex.join([*begin, *words])


def exchange_words(words: Sequence[str], first: str, second: str) -> list[str]:
    """The words of a command with two values in each other's place, also behind `--option=`."""
    other = {first: second, second: first}
    changed = []
    for word in words:
        option, equals, value = word.partition("=")
        behind = bool(equals) and option.startswith("-") and value in other
        changed.append(f"{option}={other[value]}" if behind else other.get(word, word))
    return changed


def replace_path(words: Sequence[str], path: str, other: str) -> list[str]:
    """The words of a command with another one for a path, however it is spelt, also behind `--option=`."""
    changed = []
    for word in words:
        option, equals, value = word.partition("=")
        if equals and option.startswith("-") and Path(value) == Path(path):
            changed.append(f"{option}={other}")
        else:
            changed.append(other if Path(word) == Path(path) else word)
    return changed


def replace_option(words: Sequence[str], option: str, setting: str) -> list[str]:
    """The words of a command with `--set SETTING=VALUE` for `OPTION VALUE` or `OPTION=VALUE`."""
    changed: list[str] = []
    remaining = iter(words)
    for word in remaining:
        name, equals, value = word.partition("=")
        if name == option:
            changed += ["--set", f"{setting}={value if equals else next(remaining, 'VALUE')}"]
        else:
            changed.append(word)
    return changed
