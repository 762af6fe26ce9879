"""`isthmus.audit_images`: what is wrong with a set of images, before anything is trained on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from isthmus.errors import UsageError
from isthmus.evaluation.audit.balance import Balance, balance
from isthmus.evaluation.audit.canvases import canvas_size, canvases
from isthmus.evaluation.audit.duplicates import Duplicates, Pair, find_duplicates
from isthmus.evaluation.audit.faults import Fault, image_faults, set_faults
from isthmus.evaluation.audit.groups import Leakage, leakage
from isthmus.evaluation.audit.join import joined
from isthmus.evaluation.audit.labels import Doubt, doubted_labels, principal_codes
from isthmus.evaluation.readouts import readout_for
from isthmus.features.readout import features
from isthmus.images.reading import read
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.reading import read_for
from isthmus.threads import limited

SCHEMA = "isthmus.audit/1"
LISTED = 1000  # of each kind in the JSON document

Listener = Callable[[float, str], None]


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        images, against: the sets; indices from `len(images)` on are of `against`.
        duplicates: pairs within and across both sets.
        leakage, balance: None where names or labels do not tell.
        faults, set_faults: of single images of `images`, and of all together.
        doubts: labels of `images` that their neighbours disagree with, most certain first.
        clean: names of the images that stay: of copies the first, none that is in `against` too, no constant
            one. Doubted labels stay: they are for a person to judge.
        seconds: how long it took.
    """

    images: ImageSet
    against: ImageSet | None
    duplicates: Duplicates
    leakage: Leakage | None
    balance: Balance | None
    faults: tuple[Fault, ...]
    set_faults: tuple[str, ...]
    doubts: tuple[Doubt, ...]
    clean: tuple[str, ...]
    seconds: float

    def across(self) -> tuple[Pair, ...]:
        """Pairs of one image of either set."""
        count = len(self.images)
        return tuple(pair for pair in self.duplicates.pairs if pair.first < count <= pair.second)

    def contradicting(self) -> tuple[Pair, ...]:
        """Pairs whose labels differ."""
        return tuple(pair for pair in self.duplicates.pairs if self._differ(pair))

    def name(self, index: int) -> str:
        """Of an image of either set."""
        if index < len(self.images):
            return self.images.names[index]
        assert self.against is not None
        return self.against.names[index - len(self.images)]

    def label(self, index: int) -> str | None:
        """Class of an image of either set."""
        of = self.images if index < len(self.images) else self.against
        if of is None or of.labels is None:
            return None
        number = int(of.labels[index if of is self.images else index - len(self.images)])
        return of.classes[number] if number < len(of.classes) else str(number)

    def to_dict(self) -> dict[str, Any]:
        """The document of schema "isthmus.audit/1"."""
        found = self.duplicates
        return {
            "schema": SCHEMA,
            "data": self.images.source,
            "images": len(self.images),
            "against": None if self.against is None else self.against.source,
            "images_against": 0 if self.against is None else len(self.against),
            "duplicates": {
                "exact": len(found.exact),
                "near": len(found.near),
                "across": len(self.across()),
                "contradicting": len(self.contradicting()),
                "limits": None if found.limits is None else asdict(found.limits),
                "pairs": [self._pair(pair) for pair in found.pairs[:LISTED]],
            },
            "leakage": None if self.leakage is None else asdict(self.leakage),
            "balance": None if self.balance is None else asdict(self.balance),
            "faults": [
                {"name": self.name(f.index), "kind": f.kind, "detail": f.detail} for f in self.faults[:LISTED]
            ],
            "set_faults": list(self.set_faults),
            "doubts": [
                {"name": self.name(d.index)} | {k: v for k, v in asdict(d).items() if k != "index"}
                for d in self.doubts[:LISTED]
            ],
            "clean": len(self.clean),
            "seconds": round(self.seconds, 2),
        }

    def _pair(self, pair: Pair) -> dict[str, Any]:
        return {
            "first": self.name(pair.first),
            "second": self.name(pair.second),
            "across": pair.first < len(self.images) <= pair.second,
            "exact": pair.exact,
            "mirrored": pair.mirrored,
            "error": pair.error,
            "labels": [self.label(pair.first), self.label(pair.second)],
        }

    def _differ(self, pair: Pair) -> bool:
        first, second = self.label(pair.first), self.label(pair.second)
        return first is not None and second is not None and first != second


@limited()
def audit(
    data: Any,
    *,
    against: Any = None,
    groups: str | None = None,
    model: Autoencoder | None = None,
    seed: int = 0,
    listener: Listener = lambda _share, _what: None,
) -> Audit:
    """Examine images: duplicates, leaks, faults, balance, doubtful labels.

    Args:
        data, against: what `isthmus.read` takes; `against` is the other split, such as the test images.
        groups: which images have one origin, see `isthmus.evaluation.audit.groups`.
        model: its features judge the labels, instead of principal components.
        seed: of the distortions by which the limits of near duplicates are found.
        listener: called with the share that is done and what is being done.

    Raises:
        DataError, UsageError: unreadable images, images that `model` does not read, a list of groups that is
            none, or groups without `against`.
    """
    started = time.monotonic()
    if groups is not None and against is None:
        raise UsageError("origins are looked for on both sides of a split", hint="add --against DATA")
    images = read(data)
    other = None if against is None else read(against)
    both = images if other is None else joined(images, other)
    leaks = None if other is None else leakage(images.names, other.names, groups)
    judged = images if model is None else read_for(model, images)
    listener(0.0, "looking for faults")
    faults = image_faults(images)
    listener(0.1, "looking for duplicates")
    found = find_duplicates(
        both, seed=seed, listener=lambda s: listener(0.1 + 0.75 * s, "looking for duplicates")
    )
    listener(0.85, "judging labels")
    doubts: tuple[Doubt, ...] = ()
    if images.labels is not None:
        doubts = doubted_labels(images, _alike(judged, model))
    listener(1.0, "done")
    return Audit(
        images=images,
        against=other,
        duplicates=found,
        leakage=leaks,
        balance=balance(images, other),
        faults=faults,
        set_faults=set_faults(images),
        doubts=doubts,
        clean=_clean(images, found, faults),
        seconds=time.monotonic() - started,
    )


def _alike(images: ImageSet, model: Autoencoder | None) -> Tensor:
    """`(N, d)` in which alike images are near."""
    if model is None:
        drawn = canvases(images, canvas_size(images))
        return principal_codes(drawn.gray, drawn.chroma)
    return torch.from_numpy(features(model, images, readout_for(model, images)[0], compact=True))


def _clean(images: ImageSet, found: Duplicates, faults: tuple[Fault, ...]) -> tuple[str, ...]:
    dropped = {fault.index for fault in faults if fault.kind == "constant"}
    count = len(images)
    for pair in found.pairs:
        # Copies of one picture are linked in any order; the first stays, and none that the other set has too.
        dropped.add(pair.first if pair.second >= count else pair.second)
    return tuple(name for index, name in enumerate(images.names) if index not in dropped)
