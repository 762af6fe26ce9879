"""The process of one training: `python -m isthmus.web.training_process REQUEST.json`.

It writes what happens as lines of JSON, so that the page can be closed and the server can end. A line on its
standard input saves the state and ends it; so does the end of the input, when the server is gone.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.errors import IsthmusError, Stopped, UsageError
from isthmus.progress import Task

if TYPE_CHECKING:
    import numpy.typing as npt

    from isthmus.api.training import TrainingEvent

_SECONDS_BETWEEN_STEPS = 0.5
_SECONDS_BETWEEN_PICTURES = 3.0
_PREVIEW_IMAGES = 8
CHECKPOINT_SECONDS = 10.0


class EventLog:
    """Lines of JSON, one for each event, written at once."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def write(self, kind: str, **facts: object) -> None:
        """Append one event with the time in seconds since 1970."""
        self._file.write(json.dumps({"kind": kind, "time": time.time(), **facts}) + "\n")
        self._file.flush()


class _PaceTask(Task):
    """Reads the pace out of what the training shows."""

    def __init__(self, reporter: Reporter, label: str, total: float, start: float) -> None:
        super().__init__(label, total, start=start)
        self._reporter = reporter

    def update(self, done: float, text: str = "") -> None:
        if self.label == "training" and (pace := re.match(r"([\d,.]+) images/s", text)):
            self._reporter.images_per_second = float(pace[1].replace(",", ""))
        elif self.label != "training":
            self._reporter.say_stage(self.label, done / self.total if self.total else 0.0)


class Reporter:
    """A callback and the progress of a training, for the event log."""

    def __init__(self, log: EventLog, picture: Path, images: npt.NDArray[Any] | None) -> None:
        self._log, self._picture, self._images = log, picture, images
        self._wrote_step = self._wrote_picture = self._wrote_stage = 0.0
        self.images_per_second: float | None = None

    def task(self, label: str, total: float, unit: str = "", *, start: float = 0) -> Task:  # noqa: ARG002
        """As the protocol `isthmus.progress.Progress`."""
        return _PaceTask(self, label, total, start)

    def say_stage(self, label: str, share: float) -> None:
        """The work before or after the steps."""
        now = time.monotonic()
        if now - self._wrote_stage >= _SECONDS_BETWEEN_STEPS:
            self._wrote_stage = now
            self._log.write("stage", label=label, share=share)

    def on_step(self, event: TrainingEvent) -> None:
        """A point of the curve, and from time to time the reconstructions."""
        now = time.monotonic()
        if now - self._wrote_step >= _SECONDS_BETWEEN_STEPS:
            self._wrote_step = now
            loss = event.losses.get("autoencoder", next(iter(event.losses.values()), None))
            self._log.write(
                "step",
                step=event.step,
                steps=event.steps,
                share=event.share,
                loss=loss,
                images_per_second=self.images_per_second,
            )
        if self._images is not None and now - self._wrote_picture >= _SECONDS_BETWEEN_PICTURES:
            self._draw(event.model)
            self._wrote_picture = time.monotonic()
            self._log.write("picture")

    def on_validation(self, event: TrainingEvent) -> None:
        """A point of the validation curve, and what the doctor has found."""
        self._log.write("validation", step=event.step, share=event.share, validation=event.validation)
        for finding in event.findings:
            self.say_finding(finding)

    def say_finding(self, finding: Any) -> None:
        """One finding of the doctor."""
        self._log.write("finding", **_describe_finding(finding))

    def _draw(self, model: Any) -> None:
        from isthmus.api.picture_views import draw_pairs
        from isthmus.atomic import write_bytes

        assert self._images is not None
        write_bytes(self._picture, draw_pairs(self._images, model.reconstruct(self._images)), force=True)


def run_training(request: dict[str, Any]) -> None:
    """Train or continue, as requested, and log how it ends."""
    from isthmus.api.training import train
    from isthmus.api.training_results import describe_training

    log = EventLog(Path(request["events"]))
    log.write("began", resumed=bool(request["resume"]))
    try:
        images = _preview_images(request)
        reporter = Reporter(log, Path(request["picture"]), images)
        callbacks: Any = [reporter]  # it has two of the three methods, which is enough
        options: dict[str, Any] = dict(request["options"])
        if request.get("finish"):
            options |= _least_length(request)
        model = train(
            request["data"],
            out=request["out"],
            resume=request["resume"],
            checkpoint_seconds=CHECKPOINT_SECONDS,
            callbacks=callbacks,
            progress=reporter,
            **options,
        )
        report = describe_training(model)
        log.write(
            "done",
            steps=report.steps,
            seconds=report.seconds,
            findings=[_describe_finding(finding) for finding in report.findings],
        )
    except Stopped as stop:
        log.write("paused", step=stop.step, steps=stop.steps)
    except KeyboardInterrupt:
        log.write("paused", step=0, steps=0)
    except IsthmusError as error:
        log.write("failed", error=error.to_dict())
    except Exception as error:
        fault = UsageError(
            "the training ended with an internal error ({kind})",
            id="page.training-fault",
            kind=type(error).__name__,
        )
        log.write("failed", error=fault.to_dict())
        raise


def _describe_finding(finding: Any) -> dict[str, str]:
    return {"name": finding.name, "severity": finding.severity, "text": str(finding)}


def _least_length(request: dict[str, Any]) -> dict[str, float]:
    """The shortest length that the training can still have; a refusal names what it has taken so far."""
    from isthmus.api.training import train

    lengths: tuple[dict[str, Any], ...] = ({"minutes": 1e-6}, {"steps": 1})  # it began with one of the kinds
    for length in lengths:
        try:
            train(request["data"], out=request["out"], resume=True, **length)
        except UsageError as error:
            if error.id == "training.resume-minutes":
                return {"minutes": error.fields["used"] + 0.01}
            if error.id == "training.resume-shorter":
                return {"steps": error.fields["steps"] + 1}
            if error.id != "training.resume-field":
                raise
    return {"minutes": 0.01}


def _preview_images(request: dict[str, Any]) -> npt.NDArray[Any] | None:
    """Some images that are shown with their reconstructions; None where they differ in size."""
    import numpy as np

    from isthmus.api.inputs import read_images

    size = request["options"].get("size")
    images = read_images(request["data"], limit=_PREVIEW_IMAGES)
    if images.shape is None or size is not None:
        return None
    return np.stack([images.image(row) for row in range(len(images))])


def _listen() -> None:
    """Wait for a line or the end of the input, then stop this process as Ctrl-C does."""
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGINT)


def main(path: str) -> None:
    """Run the request in the file."""
    request = json.loads(Path(path).read_text("utf-8"))
    threading.Thread(target=_listen, daemon=True).start()
    run_training(request)


if __name__ == "__main__":
    main(sys.argv[1])
