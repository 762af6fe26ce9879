"""Every use that can give a part of its answer, and where in its work Ctrl-C comes.

`Case.call` is given a progress that interrupts; `Case.words` is the same as a command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cli.conftest import write_photos
from PIL import Image

import isthmus
from isthmus.api.result import Result
from isthmus.progress import Progress

MODEL = "photos.safetensors"
CODEC = str(Path(__file__).parents[1] / "codec" / "golden" / "model.safetensors")
MANY = 600  # images: more than any use works on at once


@dataclass(frozen=True)
class Case:
    """One use, interrupted.

    Attributes:
        call: the use, with a progress.
        words: the same for the shell, without `--json`.
        label: the job of the progress in which Ctrl-C comes.
        at: at this update of it, counted from 1.
        done: how much is done then, in what the note counts; None where no test should depend on it.
        out: an output of `-o` that is written nevertheless.
    """

    call: Callable[[Progress], Result]
    words: Sequence[str]
    label: str
    at: int = 1
    done: tuple[int, int] | None = None
    out: str | None = None


QUICK: dict[str, Any] = {"recipe": "dense", "settings": ["backbone.width=4"]}
CASES: dict[str, Case] = {
    "embed": Case(
        lambda p: isthmus.embed(MODEL, "many.npy", progress=p),
        ["embed", MODEL, "many.npy", "-o", "a.npz"],
        "reading features",
        out="a.npz",
    ),
    "embed, code": Case(
        lambda p: isthmus.embed(MODEL, "many.npy", what="code", progress=p),
        ["embed", MODEL, "many.npy", "--what", "code", "-o", "a.csv"],
        "reading features",
        at=2,
        done=(256, MANY),
        out="a.csv",
    ),
    "anomalies": Case(
        lambda p: isthmus.anomalies(MODEL, "many.npy", normal="photos", progress=p),
        ["anomalies", MODEL, "many.npy", "--normal", "photos", "-o", "a.csv"],
        "scoring",
        done=(256, MANY),
        out="a.csv",
    ),
    "evaluate": Case(
        lambda p: isthmus.evaluate(MODEL, "many.npy", reference="photos", progress=p),
        ["evaluate", MODEL, "many.npy", "--reference", "photos", "-o", "a.html"],
        "evaluating",
        out="a.html",
    ),
    "search": Case(
        lambda p: isthmus.search(MODEL, "many.npy", "photos/left/1.png", index="x.index", progress=p),
        ["search", MODEL, "many.npy", "--like", "photos/left/1.png", "--index", "x.index", "-o", "a.csv"],
        "indexing",
        out="x.index",
    ),
    "cluster": Case(
        lambda p: isthmus.cluster(MODEL, "photos", 2, progress=p),
        ["cluster", MODEL, "photos", "-k", "2", "-o", "a.png"],
        "clustering",
        at=2,
        done=(1, 4),
        out="a.png",
    ),
    "classify": Case(
        lambda p: isthmus.classify(MODEL, "photos", "photos", few_labels=0, progress=p),
        ["classify", MODEL, "photos", "photos", "--few-labels", "0", "-o", "a.csv"],
        "fitting probes",
        at=2,
        done=(1, 4),
        out="a.csv",
    ),
    "generate": Case(
        lambda p: isthmus.generate(MODEL, 700, reference="photos", progress=p),
        ["generate", MODEL, "-n", "700", "--reference", "photos", "-o", "a.npz"],
        "drawing",
        at=2,
        done=(512, 700),
        out="a.npz",
    ),
    "augment": Case(
        lambda p: isthmus.augment(MODEL, "photos", 20, filtered=False, progress=p),
        ["augment", MODEL, "photos", "-n", "20", "--no-filtered", "-o", "more"],
        "making images",
        done=(5, 20),
        out="more/left",
    ),
    "explain": Case(
        lambda p: isthmus.explain(MODEL, "photos/left/1.png", reference="photos", units=2, progress=p),
        ["explain", MODEL, "photos/left/1.png", "--reference", "photos", "--units", "2", "-o", "a.html"],
        "explaining",
        at=3,
        done=(2, 17),
        out="a.html",
    ),
    "audit": Case(
        lambda p: isthmus.audit("photos", progress=p),
        ["audit", "photos", "-o", "a.html"],
        "examining",
        at=3,
        done=(2, 4),
        out="a.html",
    ),
    "tune": Case(
        lambda p: isthmus.tune("photos", ["code=1,2"], folds=2, steps=2, progress=p, **QUICK),
        [
            *("tune", "photos", "--over", "code=1,2", "--folds", "2", "--steps", "2", "-o", "a.html"),
            *("--recipe", "dense", "--set", "backbone.width=4"),
        ],
        "tuning",
        at=3,
        done=(3, 4),
        out="a.html",
    ),
    "compare": Case(
        lambda p: isthmus.compare("photos", ["dense", "variational"], code="2", steps=2, progress=p),
        ["compare", "photos", "--recipes", "dense,variational", "--code", "2", "--steps", "2", "-o", "a.csv"],
        "variational",
        done=(1, 2),
        out="a.csv",
    ),
    "fit_prior": Case(
        lambda p: isthmus.fit_prior(MODEL, "photos", components=2, steps=400, width=8, progress=p),
        ["prior", MODEL, "photos", "--components", "2", "--steps", "400", "--width", "8"],
        "fitting",
    ),
    "fit_motion": Case(
        lambda p: isthmus.fit_motion(MODEL, "photos/left", steps=10**6, progress=p),
        ["frames", MODEL, "photos/left", "--learn", "--steps", "1000000"],
        "learning",
    ),
    "denoise_files": Case(
        lambda p: isthmus.denoise_files("photos", sigma=10, out="out", workers=1, progress=p),
        ["denoise", "photos", "--sigma", "10", "-o", "out", "--workers", "1"],
        "denoising",
        at=2,
        done=(1, 24),
        out="out",
    ),
    "inpaint_files": Case(
        lambda p: isthmus.inpaint_files("photos", mask_colour="#141414", out="out", workers=1, progress=p),
        ["inpaint", "photos", "--mask-colour", "#141414", "-o", "out", "--workers", "1"],
        "inpainting",
        at=2,
        done=(1, 24),
        out="out",
    ),
    "compress_files": Case(
        lambda p: isthmus.compress_files("photos", model=CODEC, out="out", workers=1, progress=p),
        ["compress", "photos", "--model", CODEC, "-o", "out", "--workers", "1"],
        "compressing",
        done=(1, 24),
        out="out",
    ),
    "decompress_files": Case(
        lambda p: isthmus.decompress_files("small", model=CODEC, out="out", workers=1, progress=p),
        ["decompress", "small", "--model", CODEC, "-o", "out", "--workers", "1"],
        "decompressing",
        at=2,
        done=(2, 3),
        out="out",
    ),
    "verify_files": Case(
        lambda p: isthmus.verify_files("small", progress=p),
        ["verify", "small"],
        "verifying",
        at=2,
        done=(2, 3),
    ),
    "reconstruct_files": Case(
        lambda p: isthmus.reconstruct_files(MODEL, "photos", out="out", workers=1, progress=p),
        ["reconstruct", MODEL, "photos", "-o", "out", "--workers", "1"],
        "reconstructing",
        done=(1, 24),
        out="out",
    ),
}


def write_inputs(folder: Path) -> None:
    """What the cases need, besides a model of `photos/`."""
    write_photos(folder / "photos", count=24)
    photo = np.asarray(Image.open(folder / "photos/left/1.png"))
    random = np.random.default_rng(0)
    many = np.clip(photo + random.integers(0, 30, (MANY, *photo.shape)), 0, 255).astype(np.uint8)
    np.save(folder / "many.npy", many[..., None])
    (folder / "small").mkdir()
    for name in "abc":
        data = isthmus.compress(np.full((16, 16), 90, dtype=np.uint8), model=CODEC)
        (folder / "small" / f"{name}.isth").write_bytes(data)
