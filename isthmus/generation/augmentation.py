"""More labelled images from few: through the code, and by classic changes that keep a label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from isthmus.errors import DataError, Hint, UsageError, nearest
from isthmus.generation.codes import check_generates, codes_of, decoded, fitted_to
from isthmus.generation.distortion import distorted
from isthmus.generation.filtering import Filter
from isthmus.generation.mixture import Mixture, fit_mixture
from isthmus.generation.prior import draw
from isthmus.generation.sampling import as_pixels
from isthmus.images.conform import to_dtype
from isthmus.images.store import ImageSet, Indices
from isthmus.model.autoencoder import Autoencoder

METHODS: tuple[str, ...] = ("mixup", "moves", "samples", "distortions")
NEAREST = 5
MOVE = 0.5
TRIES = 5  # rounds after which images that would be dropped again are given up


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """New labelled images.

    Attributes:
        images: with labels and classes; the name of each says which method made it.
        wanted: how many were to be made: more than there are where too many had to be dropped.
        dropped: how many were made and not kept, by reason.
    """

    images: ImageSet
    wanted: int
    dropped: dict[str, int] = field(default_factory=dict)


class Augmentation:
    """Makes new labelled images from labelled ones; see `isthmus.augment`.

        for made in work.run(): ...
        found = work.finish()

    `mixup` goes between an image's code and that of one of its nearest neighbours in the class (Chawla et al.
    2002, in the code). `moves` adds half the difference of two images of any one class to an image's code, so
    that a class learns from what varies within others (Hariharan and Girshick 2017). `samples` draws from a
    Gaussian mixture per class. `distortions` are the classic changes of `isthmus.generation.distortion`.

    Attributes:
        wanted: how many are to be made.

    Raises:
        CapabilityError: the model cannot generate.
        UsageError: an unknown method, or neither a count nor `balance`.
        DataError: no labels, or with `balance` classes that are of one size already.
    """

    def __init__(
        self,
        model: Autoencoder,
        images: ImageSet,
        count: int | None,
        *,
        methods: Sequence[str],
        distortions: Sequence[str],
        also_distort: bool = False,
        balance: bool = False,
        filtered: bool = True,
        seed: int = 0,
    ) -> None:
        check_generates(model)
        for method in methods:
            if method not in METHODS:
                raise UsageError(
                    "method '{method}' is not known{suggestion}",
                    id="augment.unknown-method",
                    method=method,
                    suggestion=nearest(method, METHODS),
                )
        if not methods or (count is None) == (not balance):
            raise UsageError("augment needs a method, and either a count or balance", id="augment.no-method")
        images = fitted_to(model, images)
        if images.labels is None:
            raise DataError(
                "{source} has no labels",
                id="data.no-labels",
                hint="put each class in a folder of its own",
                source=images.source,
            )
        self._per_class = _wanted(images.labels, count)
        self.wanted = sum(self._per_class.values())
        if self.wanted == 0:
            raise DataError(
                "{source}: the classes are of one size already: nothing is to be filled up",
                id="augment.balanced-already",
                source=images.source,
            )
        self._methods, self._distortions, self._also_distort = methods, distortions, also_distort
        self._classes = images.classes
        self._maker = _Maker(model, images, images.labels, distortions, seed)
        self._judge = Filter(model, images) if filtered else None
        self._made: list[tuple[str, int, Tensor]] = []
        self._dropped = dict.fromkeys(("strange", "copied", "foreign"), 0)

    def __len__(self) -> int:
        """How many are made."""
        return len(self._made)

    def run(self) -> Iterator[int]:
        """Make them, by one method for one class after another; yields how many there are after each.

        Raises:
            DataError: a class with a single image where `mixup` needs two.
        """
        for label, number in self._per_class.items():
            for method in self._methods:
                share = len(range(self._methods.index(method), number, len(self._methods)))
                found = _enough(self._maker, self._judge, method, label, share, self._dropped)
                if self._also_distort and method != "distortions":
                    found = distorted(found, self._distortions, self._maker.generator)
                self._made += [(method, label, image) for image in found]
                yield len(self)

    def finish(self) -> LabelledImages:
        """What is made so far.

        Raises:
            DataError: every image was dropped.
        """
        if not self._made:
            raise DataError(
                "every image that was made was dropped: the model does not know images like these",
                id="augment.all-dropped",
            )
        pixels = as_pixels(torch.stack([image for _, _, image in self._made]))
        labels = np.array([label for _, label, _ in self._made], dtype=np.int64)
        names = tuple(f"{method}-{index:05d}.png" for index, (method, _, _) in enumerate(self._made))
        new = ImageSet(pixels, names, labels, self._classes, source="augmented")
        return LabelledImages(new, self.wanted, self._dropped)


def joined(first: ImageSet, second: ImageSet) -> ImageSet:
    """Two labelled sets of one image shape and the same classes as one.

    Raises:
        DataError: they do not fit together.
    """
    if first.shape != second.shape or first.labels is None or second.labels is None:
        raise DataError(
            "sets of different sizes, or without labels, cannot be joined", id="augment.cannot-join"
        )
    pixels = np.concatenate([first.stack(range(len(first))), second.stack(range(len(second)))])
    labels = np.concatenate([first.labels, second.labels])
    return ImageSet(pixels, (*first.names, *second.names), labels, first.classes, source=first.source)


def _wanted(labels: Indices, count: int | None) -> dict[int, int]:
    """How many new images each class gets."""
    present, sizes = np.unique(labels, return_counts=True)
    if count is None:
        return {int(k): int(sizes.max() - n) for k, n in zip(present, sizes, strict=True)}
    shares = np.diff(np.linspace(0, count, len(present) + 1).round().astype(int))
    return {int(k): int(n) for k, n in zip(present, shares, strict=True)}


class _Maker:
    """Makes images of a class by any method."""

    def __init__(
        self, model: Autoencoder, images: ImageSet, labels: Indices, distortions: Sequence[str], seed: int
    ) -> None:
        assert images.shape is not None
        self.model, self.distortions, self.seed = model, distortions, seed
        self.size = (images.shape[0], images.shape[1])
        self.codes = codes_of(model, images)
        self.labels, self.classes = torch.from_numpy(labels), images.classes
        pixels = to_dtype(images.stack(range(len(images))), np.float32)
        self.pixels = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        self.generator = torch.Generator().manual_seed(seed)
        self._mixture: Mixture | None = None
        self.by_name: dict[str, Callable[[int, int], Tensor]] = {
            "mixup": self.mixup,
            "moves": self.moves,
            "samples": self.samples,
            "distortions": self.classic,
        }

    def mixup(self, label: int, count: int) -> Tensor:
        own = self._members(label)
        if len(own) < 2:
            raise DataError(
                "class '{name}' has a single image, and mixup needs two",
                id="augment.single-image",
                hint=Hint.add(methods="moves,distortions"),
                name=self.classes[label],
            )
        first = own[self._any(len(own), count)]
        codes = self.codes[own].flatten(1)
        near = torch.cdist(self.codes[first].flatten(1), codes).topk(
            min(NEAREST + 1, len(own)), largest=False
        )
        column = 1 + self._any(near.indices.shape[1] - 1, count)
        second = own[near.indices[torch.arange(count), column]]
        share = torch.rand(count, *(1,) * (self.codes.ndim - 1), generator=self.generator)
        return self._decoded(torch.lerp(self.codes[first], self.codes[second], share))

    def moves(self, label: int, count: int) -> Tensor:
        own = self._members(label)
        start = own[self._any(len(own), count)]
        anyone = self._any(len(self.labels), count)
        partner = torch.stack([self._fellow(int(index)) for index in anyone])
        codes = self.codes[start] + MOVE * (self.codes[anyone] - self.codes[partner])
        lost = self.pixels[start] - self._decoded(self.codes[start])
        return (self._decoded(codes) + lost).clamp(0, 1)

    def samples(self, label: int, count: int) -> Tensor:
        if self._mixture is None:
            names = tuple(map(str, range(int(self.labels.max()) + 1)))
            self._mixture = fit_mixture(self.codes, labels=self.labels.numpy(), classes=names, seed=self.seed)
        seed = int(torch.randint(2**31, (1,), generator=self.generator))
        wanted = label if self._mixture.classes else None
        return self._decoded(draw(self._mixture, self.codes.shape[1:], count, label=wanted, seed=seed))

    def classic(self, label: int, count: int) -> Tensor:
        own = self._members(label)
        chosen = self.pixels[own[self._any(len(own), count)]]
        return distorted(chosen, self.distortions, self.generator)

    def _members(self, label: int) -> Tensor:
        return (self.labels == label).nonzero()[:, 0]

    def _fellow(self, index: int) -> Tensor:
        own = (self.labels == self.labels[index]).nonzero()[:, 0]
        return own[self._any(len(own), 1)[0]]

    def _any(self, most: int, count: int) -> Tensor:
        return torch.randint(max(1, most), (count,), generator=self.generator)

    def _decoded(self, codes: Tensor) -> Tensor:
        return decoded(self.model, codes, self.size)


def _enough(
    maker: _Maker, judge: Filter | None, method: str, label: int, count: int, dropped: dict[str, int]
) -> Tensor:
    """`(≤ count, C, H, W)`: made until there are enough that may stay, or the tries are used up."""
    kept: list[Tensor] = []
    missing = count
    for _ in range(TRIES):
        if missing == 0:
            break
        made = maker.by_name[method](label, missing)
        if judge is not None and method != "distortions":
            verdict = judge(made, torch.full((len(made),), label))
            for reason in dropped:
                dropped[reason] += int(getattr(verdict, reason).sum())
            made = made[verdict.kept]
        kept.append(made)
        missing -= len(made)
    return torch.cat(kept) if kept else maker.pixels[:0]
