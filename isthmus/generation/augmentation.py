"""Which made images are worth keeping: those that the model can see, of the right class, and no copies."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from isthmus.errors import DataError, Hint, UsageError, nearest
from isthmus.generation.codes import check_generates, convert_for_model, decode_codes, encode_images
from isthmus.generation.distortion import distort
from isthmus.generation.mixture import fit_mixture
from isthmus.generation.prior import Prior, draw_codes
from isthmus.generation.prior_store import list_priors, read_prior
from isthmus.generation.sampling import to_pixels
from isthmus.images.batches import iter_batches
from isthmus.images.conform import to_dtype
from isthmus.images.store import ImageSet, Indices
from isthmus.images.subsets import labels_of
from isthmus.metrics.neighbours import find_neighbours
from isthmus.model.autoencoder import Autoencoder

STRANGE_QUANTILE = 0.99  # quantile of real images' reconstruction errors above which a made one is dropped

COPY_SHARE = 0.1  # of the median distance between real neighbours: nearer than that is a copy

CLASS_NEIGHBOURS = 5

_BATCH = 256


@dataclass(frozen=True)
class FilterResult:
    """`(N,)` booleans each: what is wrong with every made image; `passed` where nothing is.

    Attributes:
        strange: the model reconstructs it worse than nearly all real images.
        copied: it lies almost on a real image.
        foreign: by code it is nearer to another class than to its own. How near a class is says the distance
            within which the same share of it lies, so that a rare class is not outvoted.
    """

    strange: Tensor
    copied: Tensor
    foreign: Tensor

    @property
    def passed(self) -> Tensor:
        return ~(self.strange | self.copied | self.foreign)


class Filter:
    """Judges made images by the real ones that they should join.

    Args:
        model: any autoencoder that generates.
        images: the real images, of one size; with labels also classes are judged.
    """

    def __init__(self, model: Autoencoder, images: ImageSet) -> None:
        self.model = model
        fitting = convert_for_model(model, images)
        self.pixels = torch.cat([part.images.flatten(1) for part in iter_batches(fitting, batch=_BATCH)])
        self.codes = encode_images(model, fitting).flatten(1)
        self.labels = None if images.labels is None else torch.from_numpy(images.labels)
        shape = (images.channels, *(fitting.shape or (0, 0, 0))[:2])
        errors = torch.cat(
            [
                _reconstruction_errors(model, part.reshape(-1, *shape))
                for part in torch.split(self.pixels, _BATCH)
            ]
        )
        self.worst = errors.quantile(STRANGE_QUANTILE)
        between, _ = find_neighbours(self.pixels, self.pixels, skip_same_row=True)
        self.copy = COPY_SHARE * between.median()

    def __call__(self, made: Tensor, labels: Tensor | None) -> FilterResult:
        """Judge `made (N, C, H, W)` in [0, 1] with the labels `(N,)` that they should have."""
        strange = (
            torch.cat([_reconstruction_errors(self.model, part) for part in torch.split(made, _BATCH)])
            > self.worst
        )
        distances, _ = find_neighbours(made.flatten(1), self.pixels)
        foreign = torch.zeros(len(made), dtype=torch.bool)
        if labels is not None and self.labels is not None:
            with torch.no_grad():
                codes = torch.cat([self.model.encode_batch(part) for part in torch.split(made, _BATCH)])
            foreign = self._is_foreign(codes.flatten(1), labels)
        return FilterResult(strange, distances[:, 0] < self.copy, foreign)

    def _is_foreign(self, codes: Tensor, labels: Tensor) -> Tensor:
        assert self.labels is not None
        sizes = torch.bincount(self.labels)
        away = torch.full((len(codes), len(sizes)), torch.inf)
        for label in sizes.nonzero()[:, 0].tolist():
            count = max(1, round(CLASS_NEIGHBOURS * int(sizes[label]) / int(sizes.max())))
            count = min(count, int(sizes[label]))
            distances, _ = find_neighbours(codes, self.codes[self.labels == label], count=count)
            away[:, label] = distances[:, -1]
        return away.argmin(1) != labels


@torch.no_grad()
def _reconstruction_errors(model: Autoencoder, images: Tensor) -> Tensor:
    return (model.reconstruct_batch(images) - images).square().flatten(1).mean(1)


METHODS: tuple[str, ...] = ("mixup", "moves", "samples", "distortions")

MIXUP_NEIGHBOURS = 5

MOVE_SHARE = 0.5

MAX_ROUNDS = 5  # rounds after which images that would be dropped again are given up


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """New labelled images.

    Attributes:
        images: with labels and classes; the name of each says which method made it.
        requested: how many were to be made: more than there are where too many had to be dropped.
        dropped: how many were made and not kept, by reason.
    """

    images: ImageSet
    requested: int
    dropped: dict[str, int] = field(default_factory=dict)


class Augmentation:
    """Makes new labelled images from labelled ones; see `isthmus.augment`.

        for made in work.run(): ...
        found = work.finish()

    `mixup` goes between an image's code and that of one of its nearest neighbours in the class (Chawla et al.
    2002, in the code). `moves` adds half the difference of two images of any one class to an image's code, so
    that a class learns from what varies within others (Hariharan and Girshick 2017). `samples` draws from
    the model's prior, if it knows these classes, else from a Gaussian mixture per class. `distortions` are
    the classic changes of `isthmus.generation.distortion`.

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
        images = convert_for_model(model, images)
        labels = labels_of(images)
        self._per_class = _count_per_class(labels, count)
        self.requested = sum(self._per_class.values())
        if self.requested == 0:
            raise DataError(
                "{source}: all classes have the same number of images already",
                id="augment.balanced-already",
                source=images.source,
            )
        self._methods, self._distortions, self._also_distort = methods, distortions, also_distort
        self._classes = images.classes
        self._maker = _ImageMaker(model, images, labels, distortions, seed)
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
                new_images = self._make_enough(method, label, share)
                if self._also_distort and method != "distortions":
                    new_images = distort(new_images, self._distortions, self._maker.generator)
                self._made += [(method, label, image) for image in new_images]
                yield len(self)

    def _make_enough(self, method: str, label: int, missing: int) -> Tensor:
        """`(≤ missing, C, H, W)`: made until there are enough that may stay, or the tries are used up."""
        batches: list[Tensor] = []
        for _ in range(MAX_ROUNDS):
            if missing == 0:
                break
            made = self._maker.by_name[method](label, missing)
            if self._judge is not None and method != "distortions":
                verdict = self._judge(made, torch.full((len(made),), label))
                for reason in self._dropped:
                    self._dropped[reason] += int(getattr(verdict, reason).sum())
                made = made[verdict.passed]
            batches.append(made)
            missing -= len(made)
        return torch.cat(batches) if batches else self._maker.pixels[:0]

    def finish(self) -> LabelledImages:
        """What is made so far.

        Raises:
            DataError: every image was dropped.
        """
        if not self._made:
            raise DataError(
                "every image that was made was dropped: the model was not trained on images like these",
                id="augment.all-dropped",
            )
        pixels = to_pixels(torch.stack([image for _, _, image in self._made]))
        labels = np.array([label for _, label, _ in self._made], dtype=np.int64)
        names = tuple(f"{method}-{index:05d}.png" for index, (method, _, _) in enumerate(self._made))
        new = ImageSet(pixels, names, labels, self._classes, source="augmented")
        return LabelledImages(new, self.requested, self._dropped)


def _count_per_class(labels: Indices, count: int | None) -> dict[int, int]:
    """How many new images each class gets."""
    present, sizes = np.unique(labels, return_counts=True)
    if count is None:
        return {int(k): int(sizes.max() - n) for k, n in zip(present, sizes, strict=True)}
    shares = np.diff(np.linspace(0, count, len(present) + 1).round().astype(int))
    return {int(k): int(n) for k, n in zip(present, shares, strict=True)}


class _ImageMaker:
    """Makes images of a class by any method."""

    def __init__(
        self, model: Autoencoder, images: ImageSet, labels: Indices, distortions: Sequence[str], seed: int
    ) -> None:
        assert images.shape is not None
        self.model, self.distortions, self.seed = model, distortions, seed
        self.size = (images.shape[0], images.shape[1])
        self.codes = encode_images(model, images)
        self.labels, self.classes = torch.from_numpy(labels), images.classes
        pixels = to_dtype(images.stack(range(len(images))), np.float32)
        self.pixels = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        self.generator = torch.Generator().manual_seed(seed)
        self._prior: Prior | None = None
        self._calls = itertools.count()  # detail that a decoder draws differs from call to call
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
        first = own[self._pick(len(own), count)]
        codes = self.codes[own].flatten(1)
        near = torch.cdist(self.codes[first].flatten(1), codes).topk(
            min(MIXUP_NEIGHBOURS + 1, len(own)), largest=False
        )
        column = 1 + self._pick(near.indices.shape[1] - 1, count)
        second = own[near.indices[torch.arange(count), column]]
        share = torch.rand(count, *(1,) * (self.codes.ndim - 1), generator=self.generator)
        return self._decode(
            torch.lerp(self.codes[first], self.codes[second], share), self.seed + next(self._calls)
        )

    def moves(self, label: int, count: int) -> Tensor:
        own = self._members(label)
        start = own[self._pick(len(own), count)]
        anyone = self._pick(len(self.labels), count)
        partner = torch.stack([self._nearest_fellow(int(index)) for index in anyone])
        codes = self.codes[start] + MOVE_SHARE * (self.codes[anyone] - self.codes[partner])
        lost = self.pixels[start] - self._decode(self.codes[start])
        return (self._decode(codes) + lost).clamp(0, 1)

    def samples(self, label: int, count: int) -> Tensor:
        if self._prior is None:
            self._prior, self._part_classes = self._find_prior()
        seed = int(torch.randint(2**31, (1,), generator=self.generator))
        component = self._part_classes[label] if self._prior.classes else None
        drawn = draw_codes(self._prior, self.codes.shape[1:], count, label=component, seed=seed)
        return self._decode(drawn, seed)

    def _find_prior(self) -> tuple[Prior, list[int]]:
        """The model's own prior if it has learned these classes, else a mixture of the labelled codes; and
        what each class is called there.
        """
        if list_priors(self.model):
            own = read_prior(self.model)
            if set(self.classes) <= set(own.classes):
                return own, [own.classes.index(name) for name in self.classes]
        fitted = fit_mixture(self.codes, labels=self.labels.numpy(), classes=self.classes, seed=self.seed)
        return fitted, list(range(len(self.classes)))

    def classic(self, label: int, count: int) -> Tensor:
        own = self._members(label)
        chosen = self.pixels[own[self._pick(len(own), count)]]
        return distort(chosen, self.distortions, self.generator)

    def _members(self, label: int) -> Tensor:
        return (self.labels == label).nonzero()[:, 0]

    def _nearest_fellow(self, index: int) -> Tensor:
        own = (self.labels == self.labels[index]).nonzero()[:, 0]
        return own[self._pick(len(own), 1)[0]]

    def _pick(self, most: int, count: int) -> Tensor:
        return torch.randint(max(1, most), (count,), generator=self.generator)

    def _decode(self, codes: Tensor, seed: int | None = None) -> Tensor:
        return decode_codes(self.model, codes, self.size, seed=seed)
