"""One part of the measurements: trains what is not trained yet, and keeps every number in one JSON file."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import isthmus
from isthmus.atomic import write_bytes
from isthmus.images.store import ImageSet
from isthmus.training.config import TrainConfig
from isthmus.training.trainer_setup import start_training

Row = dict[str, Any]
METRICS = ("mse", "psnr", "ssim", "bce", "kl", "active_units", "nonzero", "dead_units")
WARM_STEPS, TIMED_STEPS = 5, 30
CODE = ("units", "std", "dead_units", "non_zeros_per_image", "effective_rank")


class OutOfTimeError(Exception):
    """The time given is over; nothing is half done."""


@dataclass
class Study:
    """Results of one part, by the name of the cell.

    Args:
        steps: every training takes this many instead of its own length, in float32; full-batch descent, whose
            steps are whole passes, a tenth of them.
        seed: added to the seed of every training.
    """

    part: str
    results: Path
    pictures: Path
    models: Path
    until: float
    cells: dict[str, Row] = field(default_factory=dict)
    steps: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for folder in (self.results, self.pictures, self.models):
            folder.mkdir(parents=True, exist_ok=True)
        if self.file.exists():
            self.cells = json.loads(self.file.read_text("utf-8"))

    @property
    def file(self) -> Path:
        return self.results / f"{self.part}.json"

    def model(
        self,
        name: str,
        data: ImageSet,
        test: ImageSet,
        recipe: isthmus.Recipe,
        *,
        seed: int = 0,
        core_seconds: float | None = None,
        history: bool = False,
        **options: Any,
    ) -> isthmus.Autoencoder:
        """The model of one cell: trained on `data` and measured on `test`, unless both was done before.

        `core_seconds` instead of a length: as many steps as one core takes in so many of its own seconds.
        Unlike minutes on a clock they are the same for every cell, whatever else the machine is doing.
        """
        key = name if seed == 0 else f"{name}, seed {seed}"
        path = self.models / f"{self.part}-{key.replace(' ', '-').replace('/', '-')}.safetensors"
        if not path.exists():
            self.check_time(key)
            if self.steps is not None:
                full_batch = recipe.optimiser.name == "gd"
                steps = max(1, self.steps // 10) if full_batch else self.steps
                options = {k: v for k, v in options.items() if k not in ("epochs", "minutes")}
                options |= {"steps": steps, "precision": "float32"}
            elif core_seconds is not None:
                options["steps"] = steps_in(core_seconds, data, recipe, options)
            began = time.process_time()
            model = isthmus.train(data, recipe=recipe, seed=self.seed + seed, **options)
            model.summary["core_seconds"] = round(time.process_time() - began, 1)
            model.save(path)
        model = isthmus.load(path)
        if key not in self.cells:
            self.check_time(key)
            self.keep(key, row_of(model, data, test) | ({"history": _history(model)} if history else {}))
        return model

    def check_time(self, key: str) -> None:
        """Raises:
        OutOfTimeError: the time given is over.
        """
        if time.monotonic() > self.until:
            raise OutOfTimeError(f"{self.part}: '{key}' is next")

    def keep(self, key: str, row: Row) -> None:
        """Write one cell's numbers down and print them."""
        self.cells[key] = row
        write_bytes(self.file, json.dumps(self.cells, indent=1).encode())
        shown = {k: v for k, v in row.items() if isinstance(v, int | float) and not isinstance(v, bool)}
        print(f"{self.part} | {key} | " + " ".join(f"{k} {v:.5g}" for k, v in shown.items()), flush=True)

    def picture(self, name: str, png: bytes) -> None:
        """Write a picture with at most 128 colours: half the bytes, and no eye sees a difference."""
        import io

        from PIL import Image

        stream = io.BytesIO()
        Image.open(io.BytesIO(png)).quantize(128, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
        write_bytes(self.pictures / name, min(stream.getvalue(), png, key=len))


def steps_in(core_seconds: float, data: ImageSet, recipe: isthmus.Recipe, options: dict[str, Any]) -> int:
    """Steps that one core takes in `core_seconds`, from a short measurement that the model does not see.

    Validation comes on top: it is a tenth of the time at most.
    """
    config = TrainConfig(**{**options, "steps": WARM_STEPS + TIMED_STEPS})
    trainer, _ = start_training(data, config, recipe=recipe)
    for _ in range(WARM_STEPS):
        trainer.train_step()
    began = time.process_time()
    for _ in range(TIMED_STEPS):
        trainer.train_step()
    return max(1, round(core_seconds * TIMED_STEPS / (time.process_time() - began)))


def row_of(model: isthmus.Autoencoder, data: ImageSet, test: ImageSet) -> Row:
    """What is worth keeping: how it was trained, and its numbers on unseen images beside the baselines'."""
    evaluation = isthmus.evaluate(model, test, reference=data)
    summary, settled = model.summary, model.summary["settled"]
    assert evaluation.gap is not None
    numbers = {name: evaluation.metrics[name] for name in METRICS if name in evaluation.metrics}
    return {
        **numbers,
        "train_mse": evaluation.gap.train["mse"],
        "pca_mse": evaluation.baselines["pca"]["mse"],
        "mean_image_mse": evaluation.baselines["mean_image"]["mse"],
        "clean_mse": evaluation.clean["mse"] if evaluation.clean else evaluation.metrics["mse"],
        "code": {name: getattr(evaluation.code, name) for name in CODE},
        "numbers": model.recipe.geometry.numbers(model.size),
        "parameters": sum(p.numel() for part in (model.encoder, model.decoder) for p in part.parameters()),
        "train_images": summary["data"]["images"],
        "test_images": len(test),
        "steps": summary["steps"],
        "batch": settled["batch"],
        "epochs": round(summary["steps"] * settled["batch"] / summary["data"]["images"], 2),
        "core_seconds": summary["core_seconds"],
        "seconds": summary["seconds"],
        "precision": settled["precision"],
        "best": summary["best"],
        "ended_early": summary["ended_early"],
        "settings": {key: value for key, value, _ in model.recipe.describe()},
    }


def _history(model: isthmus.Autoencoder) -> list[tuple[float, float]]:
    """(passes over the training images, validation loss)."""
    per_step = model.summary["settled"]["batch"] / model.summary["data"]["images"]
    return [(e["step"] * per_step, e["validation"]) for e in model.summary["history"] if "validation" in e]
