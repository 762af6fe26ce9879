"""What is built for a point of the product space: settings name a module, and it is imported when needed."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from isthmus.errors import UsageError
from isthmus.model.axes.point import Point


def network_of(point: Point) -> Any:
    """The class or function that a point names in `network`.

    Raises:
        UsageError: there is no such module, or nothing of that name in it.
    """
    try:
        return resolve(point.network)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            "{axis} '{kind}' has no network '{network}': {reason}",
            id="model.no-network",
            axis=point.axis,
            kind=point.kind,
            network=point.network,
            reason=error,
        ) from error


@cache
def resolve(place: str) -> Any:
    """What stands at "module:name".

    Raises:
        ImportError, AttributeError, ValueError: nothing does.
    """
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
