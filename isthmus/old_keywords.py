"""Old keywords of public functions, accepted until version 0.3."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")


def rename_keywords(
    **renamed: str,
) -> Callable[[Callable[_Parameters, _Returned]], Callable[_Parameters, _Returned]]:
    """Decorate a function so that it takes old keywords as well, with a `DeprecationWarning`.

    Args:
        renamed: old keyword -> new one.

    >>> @rename_keywords(thorough="ensemble")
    ... def restore(*, ensemble=False):
    ...     return ensemble
    """

    def decorate(function: Callable[_Parameters, _Returned]) -> Callable[_Parameters, _Returned]:
        @functools.wraps(function)
        def call(*args: _Parameters.args, **options: _Parameters.kwargs) -> _Returned:
            for old, new in renamed.items():
                if old not in options:
                    continue
                if new in options:
                    raise TypeError(f"{old}= is the old name of {new}=: give one of them")
                warnings.warn(
                    f"{old}= is now {new}=; the old name goes with version 0.3",
                    DeprecationWarning,
                    stacklevel=2,
                )
                options[new] = options.pop(old)
            return function(*args, **options)

        return call

    return decorate
