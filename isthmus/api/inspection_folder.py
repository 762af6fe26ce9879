"""A folder of inspection results: overlays, masks, a table, a page, and the list of what was inspected.

night/
  scores.csv        name, score, chance, verdict, boxes: of all runs
  report.html       the page of the last run
  overlays/NAME.png masks/NAME.png
  inspected.json    files by name, size and SHA-256, with their results: later runs take only new ones
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.api.anomaly_result import LEDGER_FILE, REPORT_FILE, SCORES_FILE, AnomalyResult
from isthmus.api.picture_source import PictureSource
from isthmus.atomic import write_bytes, write_text
from isthmus.errors import DataError, ExistsError, OutputError, UsageError
from isthmus.escaping import csv_text
from isthmus.input_files import parse_json, read_text
from isthmus.log import log_note
from isthmus.names import safe_paths
from isthmus.outputs import check_output

if TYPE_CHECKING:
    from isthmus.features.anomalies import Detector

OVERLAYS, MASKS = "overlays", "masks"
_SCHEMA = "inspection-folder/1"


@dataclass(frozen=True)
class Ledger:
    """What earlier runs into a folder have inspected.

    Attributes:
        detector: fingerprint of the detector and its threshold.
        files: name → `size`, `sha256`, `score`, `chance`, `verdict` and `boxes`.
    """

    detector: str
    files: Mapping[str, Mapping[str, Any]]


def check_folder(path: str | os.PathLike[str], *, force: bool) -> None:
    """Check that results can be written there: nothing, an empty folder, or one of earlier results.

    Raises:
        ExistsError: a folder with other files, and `force` is off.
        OutputError: it cannot be written.
    """
    folder = Path(path)
    check_output(folder / SCORES_FILE, force=True)
    if folder.is_dir() and not force and any(folder.iterdir()) and not is_inspection_folder(folder):
        raise ExistsError(path)


def is_inspection_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a folder holds results of an earlier run."""
    return Path(path, LEDGER_FILE).is_file()


def read_ledger(folder: Path) -> Ledger | None:
    """What was inspected, or None where the folder holds no results.

    Raises:
        DataError: the list is damaged.
    """
    place = folder / LEDGER_FILE
    if not place.is_file():
        return None
    try:
        document = parse_json(read_text(place))
        if document["schema"] != _SCHEMA:
            raise ValueError("another schema")
        files = {str(name): dict(facts) for name, facts in document["files"].items()}
        for facts in files.values():
            for key in ("score", "chance"):
                facts[key] = float(facts[key])
            facts["boxes"] = [[int(number) for number in box] for box in facts["boxes"]]
            facts["verdict"] = str(facts["verdict"])
        return Ledger(str(document["detector"]), files)
    except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            "{path} is damaged: it is not a list of inspected files", id="anomalies.ledger", path=place
        ) from error


def fingerprint_detector(detector: Detector) -> str:
    """32 hex digits for a detector with its threshold."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{detector.title} {detector.threshold!r} {len(detector.calibration)}".encode())
    digest.update(detector.calibration.astype("<f8").tobytes())
    return digest.hexdigest()


def take_new_files(source: PictureSource, folder: Path, detector: Detector) -> tuple[PictureSource, int]:
    """The pictures that earlier runs into a folder have not inspected, and how many they have.

    Raises:
        UsageError: the pictures are not files of a folder.
        DataError: the folder's list is damaged.
    """
    ledger = read_ledger(folder)
    if ledger is None:
        return source, 0
    if len(source) and source.file(0) is None:
        raise UsageError(
            "{folder} holds results of an earlier run: only a folder of files can be added to"
            " them, and {source} is none",
            id="anomalies.append-needs-files",
            folder=folder,
            source=source.source,
        )
    if ledger.detector != fingerprint_detector(detector):
        log_note(
            "{folder} holds results of another detector or threshold: all files are scored again",
            id="anomalies.other-detector",
            log_level=logging.WARNING,
            folder=folder,
        )
        return source, 0
    fresh = [
        row
        for row in range(len(source))
        if not _is_known(source.file(row), ledger.files.get(source.names[row]))
    ]
    return source.subset(fresh), len(source) - len(fresh)


def _is_known(path: Path | None, facts: Mapping[str, Any] | None) -> bool:
    if path is None or facts is None:
        return False
    try:
        return bool(path.stat().st_size == facts.get("size") and _hash_file(path) == facts.get("sha256"))
    except (OSError, DataError):
        return False


def write_folder(result: AnomalyResult, folder: Path, *, force: bool, scale: int | None) -> None:
    """Write overlays and masks of all pictures of a result, and the tables and the page with earlier ones.

    Raises:
        OutputError: something cannot be written.
    """
    from isthmus.progress import start_task
    from isthmus.reports.overlays import draw_overlay, encode_mask

    earlier = None if force and not result.known_images else read_ledger(folder)
    detector = fingerprint_detector(result._scorer.detector)
    is_same = earlier is not None and earlier.detector == detector
    earlier_files = dict(earlier.files) if earlier is not None and is_same else {}
    low, high = result.colour_range()
    paths = safe_paths(result.names, suffix=".png")
    files: dict[str, dict[str, Any]] = {}
    with start_task(None, "writing overlays", len(result), "pictures") as task:
        for row, path in enumerate(paths):
            try:
                item = result.overlay(row)
            except DataError as error:  # gone since it was scored: its score stays
                log_note(
                    "{name}: no overlay ({reason})",
                    id="anomalies.no-overlay",
                    log_level=logging.WARNING,
                    name=result.names[row],
                    reason=error.message,
                )
                files[result.names[row]] = _facts(result, row)
                continue
            write_bytes(folder / OVERLAYS / path, draw_overlay(item, low, high, scale))
            write_bytes(folder / MASKS / path, encode_mask(item.mask))
            files[result.names[row]] = _facts(result, row)
            task.update(row + 1, result.names[row])
    all_files: dict[str, Mapping[str, Any]] = {**earlier_files, **files}
    header = ["name", "score", "chance", "verdict", "boxes"]
    rows = [
        [
            name,
            f"{record['score']:.6g}",
            f"{record['chance']:.4g}",
            record["verdict"],
            format_boxes(record["boxes"]),
        ]
        for name, record in all_files.items()
    ]
    write_bytes(folder / SCORES_FILE, csv_text(header, rows).encode("utf-8", "surrogateescape"))
    if len(result) or not (folder / REPORT_FILE).exists():
        write_text(folder / REPORT_FILE, result.page())
    ledger = {"schema": _SCHEMA, "detector": detector, "files": all_files}
    write_text(folder / LEDGER_FILE, json.dumps(ledger, indent=1) + "\n")


def format_boxes(boxes: Any) -> str:
    """Boxes as `WIDTHxHEIGHT+LEFT+TOP`, as `--region` takes them, with spaces between them."""
    return " ".join(f"{width}x{height}+{left}+{top}" for top, left, height, width in boxes)


def _facts(result: AnomalyResult, row: int) -> dict[str, Any]:
    row_facts = result.facts(row)
    facts: dict[str, Any] = {
        "score": row_facts.score,
        "chance": row_facts.chance,
        "verdict": row_facts.verdict,
        "boxes": [list(box) for box in row_facts.boxes],
    }
    path = result._source.file(row)
    if path is not None:
        try:
            facts |= {"size": path.stat().st_size, "sha256": _hash_file(path)}
        except (OSError, DataError) as error:
            raise OutputError("{path} is no longer there", id="anomalies.file-gone", path=path) from error
    return facts


def _hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        DataError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while part := stream.read(2**20):
                digest.update(part)
    except OSError as error:
        raise DataError(
            "{path} cannot be hashed: {reason}", id="data.unreadable-file", path=path, reason=error.strerror
        ) from error
    return digest.hexdigest()
