"""Which images of an audit show one picture: pairs, and groups of which one image is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.evaluation.audit.duplicate_limits import Limits
    from isthmus.evaluation.audit.duplicates import Pair
    from isthmus.images.store import ImageSet

MAX_SHOWN_GROUPS = 10  # in a terminal
MAX_SHOWN_NAMES = 5  # of each


@dataclass(frozen=True)
class DuplicatePair:
    """Two images of one picture.

    Attributes:
        first: name of the one.
        second: name of the other.
        across: whether the second is of the other set.
        exact: whether every value is the same.
        mirrored: whether one is the mirror image of the other.
        error: root mean square difference after aligning them, on [0, 1].
        labels: of the two, null where none is known.
    """

    first: str
    second: str
    across: bool
    exact: bool
    mirrored: bool
    error: float
    labels: tuple[str | None, str | None]


@dataclass(frozen=True)
class DuplicateGroup:
    """All images of one picture.

    Attributes:
        kept: name of the one that stays, which has the most pixels; null where the other set has the picture.
        dropped: names of the others in the set.
        against: names of those in the other set.
    """

    kept: str | None
    dropped: tuple[str, ...]
    against: tuple[str, ...]

    def describe(self) -> str:
        """One line: the names, and which of them stays."""
        names = [f"{self.kept} (kept)"] if self.kept is not None else []
        names += [*self.dropped, *(f"{name} (of the other set)" for name in self.against)]
        hidden_count = len(names) - MAX_SHOWN_NAMES
        first_names = ", ".join(names[:MAX_SHOWN_NAMES])
        return f"{first_names} and {hidden_count:,} more" if hidden_count > 0 else first_names


@dataclass(frozen=True)
class DuplicateFacts:
    """Images that show one picture.

    Attributes:
        exact: number of pairs with equal values.
        near: number of pairs that a crop, a mirror, JPEG or a change of brightness explains.
        across: number of pairs across the two sets.
        contradicting: number of pairs with different labels.
        limits: largest residuals that a near duplicate may have; null where none could be found.
        groups: the same images by picture, the largest group first; in JSON at most 1,000.
        pairs: all of them, the least doubtful first; in JSON at most 1,000.
    """

    exact: int
    near: int
    across: int
    contradicting: int
    limits: Limits | None
    groups: tuple[DuplicateGroup, ...]
    pairs: tuple[DuplicatePair, ...]


def group_rows(pairs: Iterable[Pair], images: ImageSet) -> tuple[tuple[int, ...], ...]:
    """Rows that show one picture, whichever pairs link them: largest group first, then by their first row.

    In a group the rows of `images` come first, the one of most pixels before all others, then those of the
    other set, which begin at `len(images)`.
    """
    leader: dict[int, int] = {}

    def find(row: int) -> int:
        while leader.setdefault(row, row) != row:
            leader[row] = leader[leader[row]]
            row = leader[row]
        return row

    for pair in pairs:
        root, child = sorted((find(pair.first), find(pair.second)))
        leader[child] = root
    groups: dict[int, list[int]] = {}
    for row in sorted(leader):
        groups.setdefault(find(row), []).append(row)

    def order(row: int) -> tuple[bool, int, int]:
        beyond = row >= len(images)
        return beyond, 0 if beyond else -_count_pixels(images, row), row

    ordered = [tuple(sorted(rows, key=order)) for rows in groups.values()]
    return tuple(sorted(ordered, key=lambda rows: (-len(rows), min(rows))))


def dropped_rows(groups: Iterable[Sequence[int]], count: int) -> set[int]:
    """Rows of a set of `count` images that go: all but the first of each group, and all where the other set
    has the picture.
    """
    dropped: set[int] = set()
    for rows in groups:
        dropped.update(rows if max(rows) >= count else rows[1:])
    return {row for row in dropped if row < count}


def describe_groups(
    groups: Iterable[Sequence[int]], names: Sequence[str], count: int
) -> tuple[DuplicateGroup, ...]:
    """The groups by the names of their images, of which the first `count` are of the set itself."""
    described = []
    for rows in groups:
        names_here = [names[row] for row in rows if row < count]
        against = tuple(names[row] for row in rows if row >= count)
        name_to_keep = names_here[0] if names_here and not against else None
        described.append(
            DuplicateGroup(
                name_to_keep, tuple(names_here[1:] if name_to_keep is not None else names_here), against
            )
        )
    return tuple(described)


def list_groups(groups: Sequence[DuplicateGroup]) -> list[str]:
    """Lines for a terminal: the first groups, and how many more there are."""
    if not groups:
        return []
    lines = ["Images of one picture:", *(f"  {group.describe()}" for group in groups[:MAX_SHOWN_GROUPS])]
    hidden_count = len(groups) - MAX_SHOWN_GROUPS
    return [*lines, f"  and {format_count(hidden_count, 'more group')}"] if hidden_count > 0 else lines


def _count_pixels(images: ImageSet, row: int) -> int:
    if images.shape is not None:
        return 0  # all are of one size
    height, width = images.image(row).shape[:2]
    return int(height * width)
