"""How the files in `0.1/` were made. It ran on version 0.1 and is kept as a record; it is not run again.

    OMP_NUM_THREADS=1 python tests/compatibility/make_files.py

In float32, with one thread. Every recipe has a model, the state of its training two steps before the end, a
TOML file, and what must come out of them. Attachments, a search index, directions, feature vectors and
compressed files follow.

So that the files stay small, the numbers in training states were rounded to a few bits after version 0.1 had
written them, and packed; the models with a critic are stored in 8 bits.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import struct
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from skimage import data as photos

import isthmus
from isthmus.__main__ import main as run_command
from isthmus.codec.fit import fit_tables
from isthmus.errors import Stopped

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from compatibility import adapter  # noqa: E402

FILES = HERE / "0.1"
Pixels = npt.NDArray[np.uint8]
Arrays = dict[str, npt.NDArray[Any]]
STEPS, STOPPED_AFTER = 60, 58
MANTISSA_BITS = 3
SIDE = 16

# Recipe → code and settings that keep its file small.
SMALL: dict[str, tuple[str, dict[str, str]]] = {
    "conv": ("6", {"backbone.width": "4-6", "backbone.blocks": "1"}),
    "dense": ("4", {"backbone.width": "8"}),
    "recurrent": ("4", {"backbone.width": "8"}),
    "sparse": ("16", {"backbone.width": "4-6", "backbone.blocks": "1", "bottleneck.k": "4"}),
    "collapsed": ("6", {"backbone.width": "4-6", "backbone.blocks": "1"}),
    "contractive": ("4", {"backbone.width": "6"}),
    "denoising": ("6@4", {"backbone.width": "4-6", "backbone.blocks": "1"}),
    "inpainting": ("6@4", {"backbone.width": "4-6", "backbone.blocks": "1", "corruption.size": "6"}),
    "variational": ("4", {"backbone.width": "4-6", "backbone.blocks": "1"}),
    "adversarial": ("4", {"backbone.width": "4-6", "backbone.blocks": "1"}),
    "vae-gan": ("4", {"backbone.width": "4-6", "backbone.blocks": "1"}),
    "attention": (
        "4",
        {"backbone.width": "8", "backbone.depth": "1", "backbone.heads": "2", "backbone.patch": "4"},
    ),
    "codec": ("6@8", {"backbone.width": "6-8"}),
    "features": ("12@4", {"bottleneck.k": "3"}),
    "article-000": ("4", {"backbone.width": "4-6", "backbone.decoder": "4-6-4"}),
    "article-001": ("6", {"backbone.width": "12", "backbone.decoder": "6-12"}),
    "article-002": ("4@2", {"backbone.decoder": "4"}),
    "article-003": ("4@8", {"backbone.width": "4-4"}),
    "article-004": ("4", {}),
}

# Trainings with other lengths, axes and options: name → (recipe, code, settings, options).
MORE: dict[str, tuple[str, str, dict[str, str], dict[str, Any]]] = {
    "epochs": ("dense", "4", {"backbone.width": "6"}, {"epochs": 20}),
    "minutes": ("dense", "4", {"backbone.width": "6"}, {"minutes": 0.002}),
    "options": (
        "conv",
        "4@4",
        {"backbone.width": "4", "backbone.blocks": "1", "backbone.norm": "batch"},
        {
            "steps": STEPS,
            "seed": 5,
            "size": (14, 14),
            "crop": (12, 12),
            "validation": 0.3,
            "patience": 3,
            "balance": True,
            "turn": True,
            "only": "some.txt",
        },
    ),
    "private": ("dense", "4", {"backbone.width": "6"}, {"steps": STEPS, "private": 8.0, "noise_seed": 3}),
    "sgd": (
        "dense",
        "4",
        {"backbone.width": "6", "optimiser.name": "sgd", "optimiser.rate": "0.1"},
        {"steps": STEPS},
    ),
    "gd": (
        "dense",
        "4",
        {"backbone.width": "6", "optimiser.name": "gd", "optimiser.rate": "0.5"},
        {"steps": STEPS},
    ),
    "no-average": ("dense", "4", {"backbone.width": "6", "optimiser.ema": "0"}, {"steps": STEPS}),
    "quantised": (
        "conv",
        "4@4",
        {"backbone.width": "4", "backbone.blocks": "1", "bottleneck": "quantised"},
        {"steps": STEPS},
    ),
    "learned-positions": (
        "conv",
        "4",
        {"backbone.width": "4", "backbone.blocks": "1", "positions": "learned"},
        {"steps": STEPS},
    ),
    "blind-spot": (
        "denoising",
        "4@4",
        {"backbone.width": "4", "backbone.blocks": "1", "corruption": "blind-spot"},
        {"steps": STEPS},
    ),
}

# Their models would only repeat that of `dense`.
SAME_NETWORK = ("epochs", "minutes", "sgd", "gd", "no-average")


def photograph() -> Pixels:
    """`(300, 451, 3)` uint8: a cat."""
    return np.ascontiguousarray(photos.chelsea())


def save_arrays(path: str | Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def write_images() -> None:
    """24 gray images of bright shapes in two folders, colour ones in an array, and two short sequences."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for index in range(24):
        kind = "disc" if index % 2 else "box"
        y, x = random.uniform(5, 10, 2)
        radius = random.uniform(2, 4)
        far = (
            np.hypot(rows - y, columns - x) if kind == "disc" else np.maximum(abs(rows - y), abs(columns - x))
        )
        light = np.clip(radius + 0.5 - far, 0, 1)
        pixels = 30 + 190 * light + random.normal(0, 4, light.shape)
        path = FILES / "photos" / kind / f"{index:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, optimize=True)
    cat = photograph()
    places = [(60 + 12 * i, 110 + 9 * i) for i in range(12)]
    colour = np.stack([cat[y : y + SIDE, x : x + SIDE] for y, x in places])
    np.savez_compressed(FILES / "colour.npz", images=colour)
    for sequence in range(2):
        for frame in range(11):
            far = np.hypot(rows - 4 - 0.7 * frame, columns - 6 - 3 * sequence)
            pixels = (20 + 200 * np.clip(4 - far, 0, 1)).astype(np.uint8)
            path = FILES / "frames" / str(sequence) / f"{frame:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path, optimize=True)
    (FILES / "some.txt").write_text(
        "\n".join(f"disc/{i:02}.png" for i in range(1, 20, 2))
        + "\nbox/00.png\nbox/02.png\nbox/04.png\nbox/06.png\nbox/08.png\n"
    )
    noisy = photograph()[80:112, 150:198].mean(2) + np.random.default_rng(1).normal(0, 20, (32, 48))
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(FILES / "noisy.png", optimize=True)


def run(*words: str) -> dict[str, Any]:
    """Run a command with `--json` and return its document."""
    import io

    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        assert run_command([*words, "--json", "--quiet"]) == 0, words
    document: dict[str, Any] = json.loads(stream.getvalue())
    return document


def stop_late(progress: Any) -> None:
    """Interrupt a training, as Ctrl-C does, when it has come far enough."""
    if progress.step >= min(STOPPED_AFTER, progress.steps - 2):
        signal.raise_signal(signal.SIGINT)


def train(name: str, recipe: str, code: str, settings: dict[str, str], options: dict[str, Any]) -> None:
    """`models/NAME.safetensors`, `states/NAME.resume.safetensors` and `states/NAME.npz`."""
    out = Path("states") / f"{name}.safetensors"
    options = {"patience": 0, **options}
    data = "colour.npz" if name == "codec" else "photos"
    with contextlib.suppress(Stopped):
        isthmus.train(
            data, recipe=recipe, code=code, settings=settings, out=out, precision="float32",
            listener=stop_late, **options,
        )  # fmt: skip
    state = out.with_name(f"{name}.resume.safetensors")
    assert state.exists(), name
    round_numbers(state)
    state_bytes = state.read_bytes()
    weights = adapter.next_step(state, data)
    some = {key: adapter.sample(array) for key, array in weights.items()}
    save_arrays(FILES / "states" / f"{name}.npz", some)
    if name == "codec":  # the command would fit tables for every quality, which are large
        isthmus.train(data, out=out, resume=True)
    else:
        run("train", data, "-o", str(out), "--resume")
    state.write_bytes(state_bytes)
    model = Path("models") / f"{name}.safetensors"
    shutil.move(out, model)
    if name in SAME_NETWORK:
        model.unlink()
    if name in ("adversarial", "vae-gan"):
        adapter.save_in(isthmus.load(model), model, 8)


def round_numbers(path: Path) -> None:
    """Round the floats of a safetensors file to `MANTISSA_BITS`, and leave everything else as it is."""
    data = bytearray(path.read_bytes())
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32" and not name.endswith(".step"):
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            words = np.frombuffer(data, np.uint32, (end - start) // 4, start)
            words &= np.uint32(0xFFFFFFFF << (23 - MANTISSA_BITS) & 0xFFFFFFFF)
    path.write_bytes(data)


def pack(folder: str) -> None:
    """Put the safetensors files of a folder into `FOLDER.zip`."""
    with zipfile.ZipFile(f"{folder}.zip", "w") as archive:
        for path in sorted(Path(folder).glob("*.safetensors")):
            entry = zipfile.ZipInfo(path.name, (2026, 1, 1, 0, 0, 0))
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_LZMA)
            path.unlink()


def images_for(name: str) -> Pixels:
    """What a model is tried on: `(4, 16, 16, C)` uint8."""
    if name == "codec":
        with np.load("colour.npz") as result:
            return np.asarray(result["images"][:4])
    images: Pixels = np.asarray(isthmus.read("photos").stack(range(0, 24, 6)))
    return images


def outputs_of(path: Path, name: str) -> Arrays:
    """Codes and reconstructions, as floats."""
    model = isthmus.load(path)
    images = images_for(name).astype(np.float32) / 255
    if name == "options":
        images = images[:, :12, :12]
    results = {"codes": np.asarray(model.encode(images)), "outputs": np.asarray(model.reconstruct(images))}
    assert all(array.std(0).any() for array in results.values()), f"{path} gives the same for every image"
    return results


def fit_attachments() -> Iterator[tuple[str, Arrays]]:
    """Models with a prior of each kind, a readout, a detector of each score, dynamics; and what they give."""

    def copied(source: str, name: str) -> str:
        shutil.copy(f"models/{source}.safetensors", f"models/{name}.safetensors")
        return f"models/{name}.safetensors"

    for kind, words in {
        "gaussian": (),
        "mixture": ("--components", "4"),
        "flow": ("--steps", "20", "--width", "8", "--components", "2"),
    }.items():
        for source in ("conv", "quantised") if kind == "flow" else ("conv",):
            name = f"prior-{kind}" + ("-grid" if source != "conv" else "")
            path = copied("conv" if source == "conv" else "grid", name)
            extra = () if source == "conv" else ("--no-labels",)
            run("prior", path, "photos", "--kind", kind, *words, *extra)
            results = {"drawn": isthmus.generate_images(path, 6, seed=3)}
            if source == "conv":
                results["of_class"] = isthmus.generate_images(path, 6, seed=3, label="disc")
            yield name, results
    yield "variational", {"drawn": isthmus.generate_images("models/variational.safetensors", 6, seed=3)}

    path = copied("conv", "readout")
    run("embed", path, "photos", "-o", "vectors.npz", "--layer", "stages.1", "--store")
    yield "readout", {"vectors": isthmus.embed(path, "photos").vectors}
    kinds: tuple[Literal["compact", "full"], ...] = ("compact", "full")
    for what in kinds:
        vectors = isthmus.embed("models/features.safetensors", "photos", what=what).vectors
        yield f"features-{what}", {"vectors": vectors}

    for score in ("density", "mixture", "neighbour", "local", "reconstruction"):
        name = f"anomalies-{score}"
        path = copied("features" if score == "local" else "conv", name)
        words = ("--normal", "photos", "--score", score, "--false-alarms", "0.3")
        run("anomalies", path, "photos", *words, "--store")
        answer = isthmus.anomalies(path, "frames")
        yield name, {"scores": answer.scores, "flagged": answer.flagged, "chance": answer.chance}

    path = copied("conv", "dynamics")
    adapter.learn_motion(path, ["frames/0", "frames/1"])
    run("frames", path, "frames/0", "--predict", "2", "-o", "frames.npz")
    with np.load("frames.npz") as frames:
        yield "dynamics", dict(frames)
    Path("frames.npz").unlink()

    gray = images_for("conv").astype(np.float32) / 255
    padded = np.pad(gray, ((0, 0), (6, 6), (6, 6), (0, 0))).astype(np.float32)
    classifiers = sorted(adapter.shipped_classifiers().glob("*.safetensors"))
    yield "feature-networks", {path.stem: adapter.features_of(path, padded) for path in classifiers}

    for bits in (16, 8):
        narrow = Path(f"models/bits-{bits}.safetensors")
        adapter.save_in(isthmus.load("models/attention.safetensors"), narrow, bits)
        yield f"bits-{bits}", outputs_of(narrow, "attention")


def compress_files() -> None:
    """Compressed files of each kind by three codecs; their symbols and pixels."""
    folder = FILES / "compressed"
    folder.mkdir(exist_ok=True)
    cat = np.ascontiguousarray(photograph()[80:120, 150:202])
    height, width = cat.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    alpha = np.clip(300 - 14 * np.hypot(rows - 20, columns - 26), 0, 255).astype(np.uint8)
    Image.fromarray(cat).save("tagged.png", icc_profile=b"a profile of any kind", exif=_exif())
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "colour": (cat, {}),
        "gray": (cat[..., 1], {"quality": 20}),
        "gray-alpha": (np.dstack([cat[..., 0], alpha]), {"quality": 65}),
        "alpha": (np.dstack([cat, alpha]), {"quality": 80}),
        "one-pixel": (cat[:1, :1], {"quality": 100}),
        "one-row": (cat[:1], {"quality": 1}),
        "effort": (cat, {"effort": 3}),
        "rate": (cat, {"bpp": 0.8}),
        "tagged": ("tagged.png", {"preview": 16}),
    }
    codecs = {"own": "models/codec-tables.safetensors", "shipped": None}
    expected: Arrays = {}
    for codec, path in codecs.items():
        model = None if path is None else isthmus.load(path)
        files = {name: isthmus.compress(image, model=model, **how) for name, (image, how) in kinds.items()}
        if model is not None:
            files["tiles"] = adapter.encode_tiles(cat, model, 16)
        for name, data in files.items():
            file = folder / f"{codec}-{name}.isth"
            file.write_bytes(data)
            for number, symbols in enumerate(adapter.symbols_of(file, model)):
                expected[f"{file.stem}/symbols/{number}"] = symbols.astype(np.int16)
            expected[f"{file.stem}/picture"] = isthmus.decompress(file, model=model)
    save_arrays(FILES / "compressed.npz", expected)
    Path("tagged.png").unlink()


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "a cat"
    return exif.tobytes()


def main() -> None:
    torch.set_num_threads(1)
    shutil.rmtree(FILES, ignore_errors=True)
    for folder in ("models", "states", "expected", "recipes"):
        (FILES / folder).mkdir(parents=True)
    write_images()
    os.chdir(FILES)
    for name, (code, settings) in SMALL.items():
        options = {"steps": STEPS, "turn": name == "denoising"}
        if name == "vae-gan":  # its critic is large: no averages, no best weights
            options["validation"] = 0
            settings = {**settings, "optimiser.ema": "0"}
        train(name, name, code, settings, options)
    for name, (recipe, code, settings, options) in MORE.items():
        train(name, recipe, code, settings, options)
    isthmus.train(
        "photos", recipe="conv", code="4@4", settings={"backbone.width": "4", "backbone.blocks": "1"},
        steps=STEPS, precision="float32", out="models/grid.safetensors",
    )  # fmt: skip
    isthmus.train(
        "fashion-sample", recipe="dense", code="4", settings={"backbone.width": "4"},
        steps=STEPS, precision="float32", out="models/named.safetensors",
    )  # fmt: skip
    np.savez_compressed("tried.npz", gray=images_for("conv"), colour=images_for("codec"))
    for path in sorted(Path("models").glob("*.safetensors")):
        if path.stem != "named":
            save_arrays(Path("expected") / f"{path.stem}.npz", outputs_of(path, path.stem))
    for name, given in fit_attachments():
        save_arrays(Path("expected") / f"uses-{name}.npz", given)

    codec = isthmus.load("models/codec.safetensors")
    with np.load("colour.npz") as result:
        colour = list(result["images"])
    fit_tables(codec, colour, qualities=(20, 50, 80))
    codec.save("models/codec-tables.safetensors")
    compress_files()

    like = "photos/disc/03.png"
    run("search", "models/features.safetensors", "photos", "--like", like, "--index", "index.safetensors")
    result = isthmus.search("models/features.safetensors", "photos", like, index="index.safetensors")
    matches = [[m.name, m.row, m.value] for m in result.matches[0]]
    for method in ("means", "discriminant"):
        words = ("--plus", "photos/disc", "--minus", "photos/box", "--method", method)
        run("direct", "models/conv.safetensors", *words, "-o", f"direction-{method}.safetensors")
        moved = f"moved-{method}"
        run("transform", "models/conv.safetensors", like, "--along", f"direction-{method}.safetensors",
            "--by", "-1,0.5,2", "-o", moved)  # fmt: skip
    for more in ([], ["--thorough"]):
        out = f"denoised{'-thorough' if more else ''}.png"
        denoiser = "models/denoising.safetensors"
        run("denoise", "noisy.png", "--model", denoiser, "--sigma", "20", *more, "-o", out)
    for name in SMALL:
        with Path(f"recipes/{name}.toml").open("w") as file, contextlib.redirect_stdout(file):
            assert run_command(["recipes", name, "--toml"]) == 0
    Path("recipes/own.toml").write_text(
        'code = "8@4"\nbottleneck = "l1"\n\n[backbone]\nkind = "conv"\nwidth = [4, 6]\n'
        'padding = "reflect"\n\n[optimiser]\nrate = 2e-3\n'
    )
    marks = {}
    for path in sorted(Path("models").glob("*.safetensors")):
        model = isthmus.load(path)
        marks[path.stem] = [adapter.mark_of(model), adapter.mark_of(model, decoder=False)]
    shipped = isthmus.compress(np.zeros((4, 4), np.uint8))
    own = isthmus.compress(np.zeros((4, 4), np.uint8), model="models/codec-tables.safetensors")
    facts = {
        "version": isthmus.__version__,
        "torch": torch.__version__,
        "recipes": {n: isthmus.recipe(f"recipes/{n}.toml").to_dict() for n in (*SMALL, "own")},
        "marks": marks,
        # Bytes 20 to 28 of a compressed file name the codec.
        "codecs": {"shipped": shipped[20:28].hex(), "own": own[20:28].hex()},
        "matches": matches,
        "evaluated": {
            n: run("evaluate", f"models/{n}.safetensors", "photos")["metrics"]
            for n in ("conv", "article-003")
        },
    }
    for folder in ("models", "states"):
        pack(folder)
    Path("facts.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
