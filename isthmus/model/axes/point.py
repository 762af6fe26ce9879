"""Facts of a point of the product space, registration of points, and the network that is built for one.

A point is one settings class that owns its facts; nothing else depends on its class. A class of one's own is
registered when it is defined: it states a `kind`, and in `network` the module and name of what is built for
it, which is imported when it is needed. Permissions (`may_be_private`, `may_distribute`, `may_export`) are
refused unless a class states them. By default a class has the facts of the simplest point of its axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

from isthmus.errors import UsageError
from isthmus.messages import Message
from isthmus.model.geometry import Geometry
from isthmus.model.setting import Settings

AXES: dict[str, tuple[type[Settings], ...]] = {
    "backbone": (),
    "positions": (),
    "corruption": (),
    "bottleneck": (),
    "critic": (),
    "objective": (),
    "optimiser": (),
}


@dataclass(frozen=True)
class Refusal:
    """Why something is refused, and the setting `KEY=VALUE` that would change it ("" where none does)."""

    reason: str
    change: str = ""


class Point(Settings):
    """Base of the points of every axis that networks are built for.

    Attributes:
        axis, kind: which point this is; `kind` is how recipes name it.
        network: "module:name" of what is built for it; the axis says what that is called with.
        may_be_private: all that it learns goes through the noise of a private training.
        may_distribute: several processes together compute the same as one.
        may_export: it can be written as an ONNX graph.

    Raises:
        UsageError: when a class is defined whose kind exists already, or with a fact of the wrong type.
    """

    axis: ClassVar[str] = ""
    network: ClassVar[str] = ""
    may_be_private: ClassVar[bool] = False
    may_distribute: ClassVar[bool] = False
    may_export: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in cls.__dict__:  # the bases of axes, and variants of a point, have none of their own
            _register(cls)

    def private_refusal(self) -> Refusal | None:
        """Why a private training refuses this point as it is set, or None."""
        if self.may_be_private:
            return None
        return Refusal(
            Message(
                "{axis} '{kind}' does not declare that all it learns passes through the noise",
                id="private.unstated",
                axis=self.axis,
                kind=self.kind,
            )
        )

    def refusal(self, geometry: Geometry) -> str | None:  # noqa: ARG002
        """Why this point cannot work with a code of this shape, whatever the other axes are, or None."""
        return None


def _register(point: type[Point]) -> None:
    where = f"{point.axis} '{point.kind}'"
    if point.axis not in AXES:
        raise UsageError(
            "{point} belongs to no axis: derive it from one, such as axes.Bottleneck",
            id="recipe.no-axis",
            point=point.__qualname__,
        )
    for fact, usual in _facts(point).items():
        stated = getattr(point, fact)
        if not isinstance(stated, type(usual)) and usual is not None:
            raise UsageError(
                "{where}: {fact} is {stated!r}: expected {type}",
                id="recipe.fact-type",
                where=where,
                fact=fact,
                stated=stated,
                type=type(usual).__name__,
            )
    if point.network and not all(point.network.partition(":")):
        raise UsageError(
            "{where}: network is '{network}': expected 'module:name'",
            id="recipe.network-name",
            where=where,
            network=point.network,
        )
    kinds = list(AXES[point.axis])
    same = next((i for i, other in enumerate(kinds) if other.kind == point.kind), None)
    if same is None:
        kinds.append(point)
    elif (kinds[same].__module__, kinds[same].__qualname__) == (point.__module__, point.__qualname__):
        kinds[same] = point  # a notebook's cell was run again
    else:
        raise UsageError("{where} exists already: choose another kind", id="recipe.kind-taken", where=where)
    AXES[point.axis] = tuple(kinds)


def _facts(point: type[Point]) -> dict[str, object]:
    """The facts that a point's axis declares as class attributes, with the plainest point's values."""
    facts: dict[str, object] = {}
    for base in reversed(point.__mro__[1:]):
        if issubclass(base, Point) and "kind" not in base.__dict__:
            facts |= {
                name: value for name, value in vars(base).items() if isinstance(value, bool | str | None)
            }
    return {name: value for name, value in facts.items() if not name.startswith("_")}


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
