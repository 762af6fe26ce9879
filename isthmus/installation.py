"""The command that adds an optional dependency or a newer version to this installation."""

from __future__ import annotations

from functools import cache
from pathlib import Path


def install_command(extra: str) -> str:
    """The pip command that installs Isthmus with `extra`, to be typed in the current folder.

    Isthmus is installed from a checkout, whose folder pip records (PEP 610). The command names that folder,
    as `.` where it is the current one. Where pip recorded no folder that still exists, `.` stands for it.

    >>> install_command("no-such-extra").startswith("pip install ")
    True
    """
    checkout = _checkout_folder()
    folder = "." if checkout is None or checkout == Path.cwd() else str(checkout)
    return f"pip install {_quote(f'{folder}[{extra}]')}"


def upgrade_hint() -> str:
    """The hint for a file that a newer version wrote."""
    checkout = _checkout_folder()
    where = "the checkout of Isthmus" if checkout is None else str(checkout)
    return f"update Isthmus: git pull and pip install . in {where}"


@cache
def _checkout_folder() -> Path | None:
    """The folder that Isthmus was installed from, None if it is not known or no longer there."""
    # Imported here: every start of the command line imports this module, few need its answer.
    import json
    from importlib import metadata
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        record = metadata.distribution("isthmus").read_text("direct_url.json")
        url = urlsplit(json.loads(record)["url"]) if record else None
    except (metadata.PackageNotFoundError, ValueError, KeyError, TypeError, OSError):
        return None
    if url is None or url.scheme != "file":
        return None
    folder = Path(url2pathname(url.path))
    return folder if (folder / "pyproject.toml").is_file() else None


def _quote(word: str) -> str:
    """`word` in single quotes, which zsh needs around brackets; in shell quoting where it holds a quote."""
    import shlex

    return shlex.quote(word) if "'" in word else f"'{word}'"
