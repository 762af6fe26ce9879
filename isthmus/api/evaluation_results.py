"""Results of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from isthmus.api.facts import DataFacts, Environment, Gap, ModelFacts, WorstImage
from isthmus.api.inputs import ImageLookup
from isthmus.api.result import Result, keys

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from isthmus.evaluation.generation import Generation
    from isthmus.evaluation.privacy import Membership
    from isthmus.metrics.codes import CodeStatistics
    from isthmus.model.autoencoder import Autoencoder
SHOWN_IMAGES = 10
BASELINES = {
    "pca": "PCA",
    "mean_image": "mean image",
    "corrupted_input": "corrupted input",
    "copy": "input as it is",
    "linear_map": "linear map of patches",
}


@dataclass(frozen=True, kw_only=True, repr=False)
class Evaluation(Result):
    """Metrics of a model, compared with baselines.

    Attributes:
        model: facts about the model.
        data: facts about the images.
        metrics: means over images, by name, see docs/reference/metrics.md; under the recipe's own corruption
            where it has one.
        baselines: the same for `pca`, `mean_image` and `corrupted_input`, as far as they apply; of pairs for
            `copy`, the input as it is, and `linear_map`, the best linear map of patches.
        clean: the same metrics without corruption; null for a recipe that has none.
        gap: the same metrics on training images; null where these were not found.
        privacy: success of membership inference by the loss: `members`, `others`, `auroc` with `low` and
            `high` of its 95 % interval, `advantage`, `found_at_1_percent`, `leaks`; null unless asked for.
        generation: new images compared with real ones, see docs/use/generate.md: `rows` with `name`,
            `frechet`, `relative`, `energy`, `two_sample`, `precision`, `recall`, `detail` and `copied`;
            `memory` with `ratio`, `copied` and `images`; `features`, `images`, `seed`, `seconds`, `notes`;
            null unless asked for.
        code: statistics of the code: `units`, `active_units`, `dead_units`, `effective_rank`,
            `zero_fraction` and more.
        worst_images: the ten images with the greatest squared error, greatest first.
        seed: of corruption and sampled codes.
        seconds: how long the evaluation took.
        environment: where it was measured.
        names: of the images, in their order.
        scores: metric -> `(N,)` float64, in the order of the images.
        variances: `(units,)` float64, variance of each unit of the code over the images.
    """

    schema: ClassVar[str] = "isthmus.evaluate/1"
    document: ClassVar = {
        **keys("model data metrics baselines clean gap privacy generation code", worst="worst_images"),
        **keys("seed seconds environment"),
    }
    formats: ClassVar = (".html", ".csv", ".json", ".npz")

    model: ModelFacts
    data: DataFacts
    metrics: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    clean: Mapping[str, float] | None
    gap: Gap | None
    privacy: Membership | None
    generation: Generation | None
    code: CodeStatistics
    seed: int
    seconds: float
    environment: Environment
    names: tuple[str, ...] = field(repr=False)
    scores: Mapping[str, npt.NDArray[np.float64]] = field(repr=False)
    variances: npt.NDArray[np.float64] = field(repr=False)
    _path: str = field(repr=False)
    _network: Autoencoder = field(repr=False)
    _lookup: ImageLookup = field(repr=False)

    @property
    def worst_images(self) -> tuple[WorstImage, ...]:
        mse, psnr = self.scores["mse"], self.scores["psnr"]
        rows = self.worst(SHOWN_IMAGES)
        return tuple(WorstImage(self.names[row], float(mse[row]), float(psnr[row])) for row in rows)

    def worst(self, count: int) -> list[int]:
        """Rows of the images with the greatest squared error, greatest first."""
        return [int(row) for row in (-self.scores["mse"]).argsort(kind="stable")[:count]]

    def rows(self) -> tuple[list[str], list[list[object]]]:
        """A row for each metric; columns for the model and everything that it is compared with."""
        from isthmus.metrics.registry import in_order, label

        columns = {"model": self.metrics}
        if self.clean is not None:
            columns["model, clean input"] = self.clean
        columns |= {
            title: self.baselines[name] for name, title in BASELINES.items() if name in self.baselines
        }
        rows: list[list[object]] = [
            [label(key), *(values.get(key) for values in columns.values())] for key in in_order(self.metrics)
        ]
        return ["metric", *columns], rows

    def table(self, rows: int | None = None) -> str:
        from isthmus.reports.tables import format_table

        generation_table = "" if self.generation is None else "\n\n" + format_table(*self.generation.table())
        return super().table(rows) + generation_table

    def summary(self) -> str:
        lines = []
        if self.generation is not None:
            memory = self.generation.memory
            lines.append(
                f"distance to the nearest training image, samples divided by unseen images: "
                f"{memory.ratio:.3g}; copied: {memory.copied:.1%} (by chance 5.0%)"
            )
        if self.gap is not None and self.gap.mse_ratio is not None:
            lines.append(f"squared error is {self.gap.mse_ratio:.3g} times that on training images")
        if self.privacy is not None:
            membership = self.privacy
            verdict = "its losses give training images away" if membership.leaks else "no more than chance"
            lines.append(
                f"membership: AUROC {membership.auroc:.3f} ({membership.low:.3f} to {membership.high:.3f}), "
                f"{membership.found_at_1_percent:.1%} found at 1 % false alarms: {verdict}"
            )
        return "\n".join(lines)

    def csv_rows(self) -> tuple[list[str], list[list[object]]]:
        """`name` and one column for each metric that single images have, in the order of the images."""
        values = [[f"{value:.7g}" for value in column] for column in self.scores.values()]
        return ["name", *self.scores], [list(row) for row in zip(self.names, *values, strict=True)]

    def arrays(self) -> dict[str, Any]:
        """`names (N,)`, each metric `(N,)`, and `variances` of the code's units."""
        import numpy as np

        return {"names": np.array(self.names), **self.scores, "variances": self.variances}

    def page(self) -> str:
        """Reconstructions, every number, the training, the code, and how to use the model.

        Raises:
            DataError: the images are no longer there.
        """
        from isthmus.api.pages.model_page import model_page

        images = self._lookup.read(range(len(self.names)))
        return model_page(self, self._network, images, path=self._path).html()
