"""Options that the tables of single uses leave out: for every command all of them are compared somewhere."""

from __future__ import annotations

import os
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest

import isthmus
from isthmus.cli import COMMANDS
from isthmus.cli import isthmus as group
from isthmus.evaluation import feature_network

from .parity import Parity

MODEL, PHOTO = "photos.safetensors", "photos/left/1.png"
TINY: dict[str, Any] = {
    "recipe": "dense",
    "code": "3",
    "settings": ["backbone.width=8"],
    "precision": "float32",
}
TRAIN = [
    *("train", "photos", "--recipe", "dense", "--code", "3", "--set", "backbone.width=8"),
    *("--precision", "float32"),
]
GRAY_AS_COLOUR = ("--show", "1,1,1")
SHOW = (1, 1, 1)
FEATURES = str(next((Path(feature_network.__file__).parent / "feature_networks").glob("*.safetensors")))


def _write_names() -> None:
    names = sorted(path.relative_to("photos").as_posix() for path in Path("photos").rglob("*.png"))
    Path("names.txt").write_text("\n".join(names[:20]))


class _Interruption(isthmus.Callback):
    """Ctrl-C after the first step."""

    def on_step(self, _: isthmus.TrainingEvent) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def _leave_unfinished() -> None:
    for out in ("a.safetensors", "b.safetensors"):
        with pytest.raises(isthmus.Stopped):
            isthmus.train("photos", **TINY, steps=4, out=out, callbacks=[_Interruption()])


def _train_variational() -> None:
    isthmus.train("photos", recipe="variational", code="3", steps=2, precision="float32", out="v.safetensors")


def _guide_a_grid() -> None:
    _train_on_a_grid()
    isthmus.fit_prior("g.safetensors", "photos", kind="attention", steps=2, width=8)


def _train_on_a_grid() -> None:
    settings = ["backbone.width=8"]
    isthmus.train("photos", recipe="conv", code="2@4", settings=settings, steps=2, out="g.safetensors")
    isthmus.fit_prior("g.safetensors", steps=2, width=8)


def _write_masks() -> None:
    import numpy as np
    from PIL import Image

    mask = np.zeros((12, 12), np.uint8)
    mask[3:5, 3:5] = 255
    Image.fromarray(mask).save("mask.png")
    Path("cut").mkdir(exist_ok=True)
    for name in ("1", "3"):
        gray = Image.open(f"photos/left/{name}.png").convert("LA")
        gray.putalpha(Image.fromarray(255 - mask))
        gray.save(f"cut/{name}.png")


def _write_masks_of_defects() -> None:
    _write_masks()
    for side in ("left", "right"):
        for path in Path("photos", side).glob("*.png"):
            place = Path("defects", side, path.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy("mask.png", place)


def _inspect() -> None:
    isthmus.anomalies(MODEL, "photos", normal="photos", score="reconstruction").save("inspected", force=True)


def _copy_photos() -> None:
    for name in ("a", "b"):
        shutil.copytree("photos/left", name, dirs_exist_ok=True)


def _copy_photos_and_mask() -> None:
    _copy_photos()
    _write_masks()


def _write_direction() -> None:
    isthmus.find_direction(MODEL, "photos/left", "photos/right").save("way.safetensors", force=True)


def _write_list_of_groups() -> None:
    lines = [f"{path},{path.stem[-1]}" for path in sorted(Path("photos").rglob("*.png"))]
    Path("list.csv").write_text("\n".join(["path,patient", *lines]))


def _share() -> None:
    isthmus.push(MODEL, "./shared/", force=True)


PARITY = {
    "train, some of the images": Parity(
        [*TRAIN, "--epochs", "2", "--names-from", "names.txt", "--limit", "12", "-o", "a.safetensors"],
        lambda: isthmus.train("photos", **TINY, epochs=2, names_from="names.txt", limit=12),
        prepare=_write_names,
    ),
    "train --groups": Parity(
        [*TRAIN, "--epochs", "2", "--groups", r"([0-4])\.png", "-o", "a.safetensors"],
        lambda: isthmus.train("photos", **TINY, epochs=2, groups=r"([0-4])\.png"),
    ),
    "train --dry-run --limit": Parity(
        [*TRAIN, "--steps", "2", "--limit", "12", "--dry-run"],
        lambda: isthmus.plan_training("photos", **TINY, steps=2, limit=12),
    ),
    "train --resume": Parity(
        [*TRAIN, "--steps", "4", "--resume", "-o", "a.safetensors"],
        lambda: isthmus.train("photos", **TINY, steps=4, resume=True, out="b.safetensors"),
        prepare=_leave_unfinished,
    ),
    "evaluate, variational": Parity(
        [
            *("evaluate", "v.safetensors", "photos/left", "--nll-samples", "2"),
            *("--generation", "--samples", "8", "--features", FEATURES),
        ],
        lambda: isthmus.evaluate(
            "v.safetensors", "photos/left", nll_samples=2, generation=True, samples=8, features=FEATURES
        ),
        prepare=_train_variational,
    ),
    "compare --groups": Parity(
        [
            *("compare", "photos", "--recipes", "dense", "--code", "3", "--steps", "2"),
            *("--set", "backbone.width=8", "--groups", r"([0-4])\.png"),
        ],
        lambda: isthmus.compare(
            "photos",
            ["dense"],
            code="3",
            settings=["backbone.width=8"],
            steps=2,
            groups=r"([0-4])\.png",
        ),
    ),
    "tune, groups of a list": Parity(
        [
            *("tune", "list.csv", "--over", "code=2", "--recipe", "dense", "--folds", "2", "--steps", "2"),
            *("--set", "backbone.width=8"),
        ],
        lambda: isthmus.tune(
            "list.csv", ["code=2"], recipe="dense", folds=2, steps=2, settings=["backbone.width=8"]
        ),
        prepare=_write_list_of_groups,
    ),
    "compare --epochs --scale": Parity(
        [
            *("compare", "photos", "--recipes", "dense", "--code", "3", "--epochs", "1"),
            *("--set", "backbone.width=8", "--scale", "2", "-o", "a.png"),
        ],
        lambda: isthmus.compare("photos", ["dense"], code="3", settings=["backbone.width=8"], epochs=1),
    ),
    "tune --epochs": Parity(
        ["tune", "photos", "--over", "code=2", "--recipe", "dense", "--folds", "2", "--epochs", "1"],
        lambda: isthmus.tune("photos", ["code=2"], recipe="dense", folds=2, epochs=1),
    ),
    "inpaint --mask": Parity(
        [
            *("inpaint", "photos", "-o", "out", "--mask", "mask.png", "--limit", "4", "--compare"),
            *("--scale", "2", "--force"),
        ],
        lambda: isthmus.inpaint_files(
            "photos", out="out", mask="mask.png", limit=4, compare=True, scale=2, force=True
        ),
        prepare=_write_masks,
    ),
    "inpaint --mask-alpha": Parity(
        ["inpaint", "cut", "-o", "out", "--mask-alpha", "--force"],
        lambda: isthmus.inpaint_files("cut", out="out", mask_alpha=True, force=True),
        prepare=_write_masks,
    ),
    "inpaint --in-place": Parity(
        ["inpaint", "a", "-o", "a", "--mask", "mask.png", "--in-place"],
        lambda: isthmus.inpaint_files("b", out="b", mask="mask.png", in_place=True),
        prepare=_copy_photos_and_mask,
    ),
    "denoise --in-place": Parity(
        ["denoise", "a", "-o", "a", "--sigma", "5", "--in-place"],
        lambda: isthmus.denoise_files("b", out="b", sigma=5, in_place=True),
        prepare=_copy_photos,
    ),
    "generate --guidance": Parity(
        ["generate", "g.safetensors", "-n", "2", "--prior", "attention", "--guidance", "2", "-o", "a.npz"],
        lambda: isthmus.generate("g.safetensors", 2, prior="attention", guidance=2.0),
        prepare=_guide_a_grid,
    ),
    "generate --size --show": Parity(
        ["generate", "g.safetensors", "-n", "2", "--size", "16x20", *GRAY_AS_COLOUR, "-o", "a.png"],
        lambda: isthmus.generate("g.safetensors", 2, size=(16, 20), show=SHOW),
        prepare=_train_on_a_grid,
    ),
    "interpolate --show --scale": Parity(
        ["interpolate", MODEL, PHOTO, PHOTO, *GRAY_AS_COLOUR, "--scale", "2", "-o", "a.png"],
        lambda: isthmus.interpolate(MODEL, [PHOTO, PHOTO], show=SHOW),
    ),
    "transform --range --show": Parity(
        [
            *("transform", MODEL, PHOTO, "--along", "way.safetensors", "--range", "0,510"),
            *(*GRAY_AS_COLOUR, "-o", "a.png"),
        ],
        lambda: isthmus.transform(MODEL, PHOTO, "way.safetensors", range=(0, 510), show=SHOW),
        prepare=_write_direction,
    ),
    "map --show --scale": Parity(
        ["map", MODEL, "photos", "--method", "pca", *GRAY_AS_COLOUR, "--scale", "2", "-o", "a.png"],
        lambda: isthmus.code_map(MODEL, "photos", method="pca", show=SHOW),
    ),
    "classify --scale": Parity(
        ["classify", MODEL, "photos", "photos", "--few-labels", "2", "--scale", "2", "-o", "a.png"],
        lambda: isthmus.classify(MODEL, "photos", "photos", few_labels=2),
    ),
    "cluster --show --scale": Parity(
        ["cluster", MODEL, "photos", "-k", "2", *GRAY_AS_COLOUR, "--scale", "2", "-o", "a.png"],
        lambda: isthmus.cluster(MODEL, "photos", 2, show=SHOW),
    ),
    "search --show --scale": Parity(
        ["search", MODEL, "photos", "--like", PHOTO, *GRAY_AS_COLOUR, "--scale", "2", "-o", "a.png"],
        lambda: isthmus.search(MODEL, "photos", PHOTO, show=SHOW),
    ),
    "anomalies --store --show --scale": Parity(
        [
            *("anomalies", MODEL, "photos", "--normal", "photos", "--store", *GRAY_AS_COLOUR),
            *("--scale", "2", "-o", "a.png"),
        ],
        lambda: isthmus.anomalies(MODEL, "photos", normal="photos", store=True, show=SHOW),
    ),
    "anomalies, masks and groups": Parity(
        [
            *("anomalies", MODEL, "photos", "--normal", "photos", "--score", "reconstruction"),
            *("--groups", r"([0-9]+)\.png", "--ignore-mask", "mask.png", "--masks", "defects"),
        ],
        lambda: isthmus.anomalies(
            MODEL,
            "photos",
            normal="photos",
            score="reconstruction",
            groups=r"([0-9]+)\.png",
            ignore_mask="mask.png",
            masks="defects",
        ),
        prepare=_write_masks_of_defects,
    ),
    "anomalies --append": Parity(
        [
            *("anomalies", MODEL, "photos", "--normal", "photos", "--score", "reconstruction"),
            *("--append", "inspected"),
        ],
        lambda: isthmus.anomalies(
            MODEL, "photos", normal="photos", score="reconstruction", append="inspected"
        ),
        prepare=_inspect,
    ),
    "demo": Parity(  # one step, however fast the machine is
        ["demo", "-o", "made", "--out", "made", "--minutes", "0.0001", "--force"],
        lambda: isthmus.run_demo("made", minutes=0.0001, force=True),
    ),
    "audit --show": Parity(
        ["audit", "photos", "--limit", "4", *GRAY_AS_COLOUR, "-o", "a.html"],
        lambda: isthmus.audit("photos", limit=4, show=SHOW),
    ),
    "explain --show --scale": Parity(
        ["explain", MODEL, PHOTO, "--units", "2", *GRAY_AS_COLOUR, "--scale", "2", "-o", "a.png"],
        lambda: isthmus.explain(MODEL, PHOTO, units=2, show=SHOW),
    ),
    "pull": Parity(
        ["pull", "./shared/", "-o", "a.safetensors", "--force"],
        lambda: isthmus.pull("./shared/", "b.safetensors"),
        prepare=_share,
    ),
    "pull, all options": Parity(
        ["pull", "./shared/", "-o", "a.safetensors", "--revision", "main"],
        lambda: isthmus.pull("./shared/", "b.safetensors", revision="main"),
        prepare=_share,
    ),
}
if find_spec("opacus") is not None:
    PARITY["train --private"] = Parity(
        [
            *(*TRAIN, "--steps", "2", "--private", "8", "--delta", "0.001", "--clip-norm", "0.5"),
            *("--noise-seed", "5", "-o", "a.safetensors"),
        ],
        lambda: isthmus.train("photos", **TINY, steps=2, private=8, delta=0.001, clip_norm=0.5, noise_seed=5),
    )

# What has no second answer to compare with.
NOT_COMPARED = {
    "train --minutes": "how many steps there are follows from the time",
    "compare --minutes": "likewise",
    "tune --minutes": "likewise",
    "demo --serve": "the command goes on with `serve`",
    "anomalies --fail-on-flagged": "an exit code",
}
EXTRAS = {"export": "onnxscript", "serve": "fastapi"}
# `--shape` is Python's `FILE.npy:28x28`; see tests/cli/test_row_shape.py.
IN_EVERY_COMMAND = {"--force", "--debug", "--json", "--quiet", "--rows", "--shape"}


def test_every_option_of_every_command_is_compared_with_python() -> None:
    from .test_parity import CASES

    given = {name: set[str]() for name in (entry.name for entry in COMMANDS)}
    for name, case in CASES.items():
        assert case.words[0] in given, f"{name}: '{case.words[0]}' is not in COMMANDS of isthmus/cli"
        given[case.words[0]].update(case.words)
    missing = set()
    for entry in COMMANDS:
        command = group.get_command(click.Context(group), entry.name)
        assert command is not None
        if find_spec(EXTRAS.get(entry.name, "isthmus")) is None:
            continue  # its table is empty without the extra
        assert given[entry.name], f"{entry.name} is in no table"
        for option in command.params:
            spellings = {*option.opts, *option.secondary_opts}
            is_shown = isinstance(option, click.Option) and not option.hidden
            if is_shown and not spellings & (IN_EVERY_COMMAND | given[entry.name]):
                missing.add(f"{entry.name} {option.opts[-1]}")
    private = {f"train --{name}" for name in ("private", "delta", "clip-norm", "noise-seed")}
    assert missing - (private if find_spec("opacus") is None else set()) == set(NOT_COMPARED)
