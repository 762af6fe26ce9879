"""What a model's file says about its training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from isthmus.images.shards import inventory_of
from isthmus.messages import describe_messages
from isthmus.training.data import TrainingData
from isthmus.training.resume import TrainRecord
from isthmus.training.trainer import Trainer
from isthmus.version import __version__


def summarise(trainer: Trainer, record: TrainRecord, *, complete: bool = True) -> dict[str, Any]:
    """The summary as JSON values, under the names that files hold; the doctor's findings are still missing.

    Args:
        complete: whether the training came to its end; it may have been interrupted.
    """
    state, plan, data = trainer.state, trainer.plan, trainer.data
    is_private = plan.privacy is not None
    parts = [data.train, *([] if data.held_out is None else [data.held_out])]
    notes = list(dict.fromkeys(note for part in parts for note in part.notes))
    left_out = dict.fromkeys((one.name, one.reason) for part in parts for one in part.skipped)
    skipped = [] if is_private else [list(pair) for pair in left_out]
    best = None
    if state.best_loss is not None:
        best = {"step": state.best_step, "validation": state.best_loss}
    return {
        "version": __version__,
        "torch": torch.__version__,
        "data": {
            "source": data.train.source,
            # A hash of private images would prove a guess of them right.
            "fingerprint": None if is_private else record.fingerprint,
            "images": len(data.train),
            "held_out": 0 if data.held_out is None else len(data.held_out),
            "classes": list(data.train.classes),
            "inventory": _describe_inventory(data, is_private=is_private),
            **({"target": data.train.target_source} if data.train.target_channels else {}),
            "notes": notes,
            # The names of private files are private, too.
            "skipped": skipped,
            "messages": describe_messages([*notes, *(reason for _, reason in skipped)]),
        },
        "options": record.config.to_dict(),
        "settled": plan.to_dict(),
        "threads": record.threads,
        "steps": state.step,
        "seconds": round(state.seconds, 2),
        "images_per_second": round(state.step * plan.batch / max(state.seconds, 1e-9), 1),
        "ended_early": state.ended_early,
        "complete": complete,
        "kept": "last" if trainer.keeps_last or best is None else "best",
        "best": best,
        "history": state.history,
        "knots": trainer.schedule.to_json(),
        "paused": 0.0 if trainer.budget is None else round(trainer.budget.paused, 2),
        "findings": [],
        "privacy": None if plan.privacy is None else plan.privacy.describe(state.step),
    }


def _describe_inventory(data: TrainingData, *, is_private: bool) -> dict[str, Any] | None:
    """What lets the training images be found again by a listing; None where not all are known here."""
    images, held_out = data.train, data.held_out
    source = Path(images.source)
    is_listed = source.is_dir() or source.suffix.lower() == ".tar"
    if not is_listed or is_private:
        return None
    if data.inventory is not None:
        return data.inventory.to_dict()
    own = [images] if held_out is None or held_out.source != images.source else [images, held_out]
    return inventory_of(own).to_dict()
