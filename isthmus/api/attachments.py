"""Store what a use has fitted to a model in the model's file (`store=True`)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from isthmus.api.inputs import ModelLike
from isthmus.interruption import Interruption
from isthmus.log import log_note
from isthmus.outputs import check_output

if TYPE_CHECKING:
    from isthmus.model.autoencoder import Autoencoder


def check_storable(model: ModelLike) -> None:
    """Check before the work that something can be stored in the model.

    Raises:
        UsageError: the model is a shipped one, whose file stays as it is.
        OutputError: its file cannot be replaced.
    """
    from isthmus.model.loading import resolve_model_path

    if isinstance(model, (str, os.PathLike)):
        check_output(resolve_model_path(model, to_change=True), force=True, stream=False)


def check_fit(stop: Interruption, steps: int, total: int, *, replaces: str | None) -> None:
    """After an interrupted fit of a network: log whether the result is used.

    Args:
        steps, total: of its training.
        replaces: the attachment that the model holds already and that stays, if there is one.

    Raises:
        KeyboardInterrupt: nothing was learned, or what the model holds stays.
    """
    if replaces is not None:
        raise KeyboardInterrupt(
            f"interrupted: {steps:,} of {total:,} steps done; the earlier {replaces} of the model stays"
        )
    stop.check(steps, total, "step", then="the model holds what was learned until then")


def store_attachments(model: ModelLike, network: Autoencoder, *names: str) -> None:
    """Write attachments of the model in memory into the file that it was loaded from, if there is one.

    Raises:
        OutputError: the file cannot be replaced.
    """
    from isthmus.model.attachments import attach

    if not isinstance(model, (str, os.PathLike)):
        return
    for name in names:
        attachment = network.attachments[name]
        attach(model, name, attachment.tensors, attachment.facts)
    log_note("stored in {model}: {names}", id="model.stored", model=os.fspath(model), names=", ".join(names))
