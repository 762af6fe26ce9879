"""Every use takes samples of every float type, byte order, layout and range, and gives the same answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import isthmus
from isthmus.api.code_directions import Direction
from isthmus.images.reading import read_image
from isthmus.images.store import ImageSet

from .parity import Parity

Array = npt.NDArray[Any]
LENGTH: dict[str, Any] = {"recipe": "dense", "code": "4", "steps": 2}
WHITE = 256.0  # the samples of `IMAGES` times this are whole numbers
LABELS = np.arange(24) % 2


def _draw_images() -> Array:
    """Samples that float16 and bfloat16 hold exactly."""
    random = np.random.default_rng(0)
    levels = random.integers(0, 17, (24, 16, 16, 1))
    return (levels / 16).astype(np.float32)


IMAGES = _draw_images()
WHITE_OR_UNIT = {False: IMAGES, True: IMAGES * WHITE}
MASK = np.zeros((16, 16), dtype=bool)
MASK[4:6, 4:6] = True


@pytest.fixture(scope="module")
def model() -> isthmus.Autoencoder:
    return isthmus.train(IMAGES, **LENGTH, settings=["backbone.width=16"], precision="float32")


def _label(data: Any, **options: Any) -> ImageSet:
    return isthmus.read(data, labels=LABELS, **options)


def _reconstruct(model: Any, data: Any, out: Path, **options: Any) -> Array:
    isthmus.reconstruct_files(model, data, out=out / "seen", **options)
    return np.stack([read_image(path) for path in sorted((out / "seen").glob("*.png"))])


def _fit_motion(model: Any, data: Any, **options: Any) -> Array:
    isthmus.fit_motion(model, data, steps=2, **options)
    return isthmus.predict_frames(model, data, 1, **options).pixels


def _fit_prior(model: Any, data: Any, **options: Any) -> Array:
    isthmus.fit_prior(model, data, kind="gaussian", **options)
    return isthmus.generate(model, 2, seed=1).pixels


def _train(data: Any, **options: Any) -> float:
    model = isthmus.train(data, **LENGTH, precision="float32", **options)
    return float(model.training_report.history[-1]["validation"])


def _compare(data: Any, **options: Any) -> float:
    result = isthmus.compare(data, ["dense"], code="4", steps=2, **options)
    return result.contenders[0].metrics["mse"].mean


def _tune(data: Any, **options: Any) -> list[float]:
    result = isthmus.tune(data, ["code=4"], recipe="dense", steps=2, folds=2, **options)
    return list(result.trials[0].means.values())


Use = Callable[[Any, Any, Path, dict[str, Any]], Any]
# Name of a use -> what it gives for images (24, 16, 16, 1), as numbers.
SET_USES: dict[str, Use] = {
    "embed": lambda m, d, _, o: isthmus.embed(m, d, reference=d, **o).vectors,
    "anomalies": lambda m, d, _, o: isthmus.anomalies(m, d, normal=d, **o).scores,
    "cluster": lambda m, d, _, o: isthmus.cluster(m, d, 2, space="features", **o).points,
    "search": lambda m, d, _, o: isthmus.search(m, d, d, count=2, **o).arrays()["values"],
    "evaluate": lambda m, d, _, o: isthmus.evaluate(m, d, reference=d, **o).scores["mse"],
    "reconstruct": lambda m, d, p, o: _reconstruct(m, d, p, **o),
    "train": lambda _m, d, _, o: _train(d, **o),
    "compare": lambda _m, d, _, o: _compare(d, **o),
    "tune": lambda _m, d, _, o: _tune(d, **o),
    "explain": lambda m, d, _, o: isthmus.explain(m, d, reference=d, units=2, **o).traversals,
    "audit": lambda _m, d, _, o: [isthmus.audit(d, against=d, **o).duplicates.across],
    "map": lambda m, d, _, o: isthmus.code_map(m, d, method="pca", **o).points,
    "frames": lambda m, d, _, o: isthmus.fill_frames(m, d, [3], **o).pixels,
    "insert frames": lambda m, d, _, o: isthmus.insert_frames(m, d, 1, **o).pixels,
    "reconstruct frames": lambda m, d, _, o: isthmus.reconstruct_frames(m, d, **o).pixels,
    "fit motion": lambda m, d, _, o: _fit_motion(m, d, **o),
    "fit prior": lambda m, d, _, o: _fit_prior(m, d, **o),
    "find direction": lambda m, d, _, o: isthmus.find_direction(m, d[:12], d[12:], **o).step,
    "diagnose": lambda m, d, _, o: [isthmus.diagnose(m, d, **o).observed.explained],  # type: ignore[union-attr]
    "plan": lambda _m, d, _, o: [isthmus.plan_training(d, **LENGTH, **o).images],
    "encode": lambda m, d, _, o: m.encode(d, **o).flat(),
}
# The same, for one image (1, 16, 16, 1).
IMAGE_USES: dict[str, Use] = {
    "generate": lambda m, d, _, o: (
        isthmus.generate(m, 2, like=d, reference=WHITE_OR_UNIT[bool(o)], **o).pixels
    ),
    "interpolate": lambda m, d, _, o: isthmus.interpolate(m, [d, d], frames=3, **o).pixels,
    "transform": lambda m, d, _, o: isthmus.transform(m, d, _find_direction(m), **o).pixels,
    "compress": lambda _m, d, _, o: np.frombuffer(
        isthmus.compress(d if isinstance(d, torch.Tensor) else d[0], **o), dtype=np.uint8
    ),
    "denoise": lambda _m, d, _, o: _restored(
        isthmus.denoise(d if isinstance(d, torch.Tensor) else d[0], sigma=10, **o), **o
    ),
    "inpaint": lambda _m, d, _, o: _restored(
        isthmus.inpaint(d if isinstance(d, torch.Tensor) else d[0], MASK, **o), **o
    ),
}
LABELLED_USES: dict[str, Use] = {
    "classify": lambda m, d, _, o: isthmus.classify(m, d, d, few_labels=0, **o).confidence,
    "augment": lambda m, d, _, o: isthmus.augment(m, d, 4, filtered=False, **o).pixels,
}


def _find_direction(model: Any) -> Direction:
    return isthmus.find_direction(model, IMAGES[:12], IMAGES[12:])


def _restored(image: Any, range: tuple[float, float] = (0, 1)) -> Array:
    """A restored image of any kind as `(H, W)` in [0, 1]."""
    array = image.float().numpy() if isinstance(image, torch.Tensor) else np.asarray(image, dtype=np.float64)
    return (array.reshape(16, 16) - range[0]) / (range[1] - range[0])


# Of what goes through one reader, several at once; tests/images tries each alone.
KINDS: dict[str, Callable[[Array], Any]] = {
    "big-endian doubles of negative strides": lambda x: x.astype(">f8")[:, ::-1, ::-1].copy()[:, ::-1, ::-1],
    "half": lambda x: x.astype(np.float16),
    "torch bfloat16": lambda x: torch.from_numpy(x).permute(0, 3, 1, 2).bfloat16().requires_grad_(),
}


@pytest.fixture(scope="module")
def expected(model: isthmus.Autoencoder, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Array]:
    """What a use gives for float32 in [0, 1]; computed once."""
    results: dict[str, Array] = {}

    def compute(name: str) -> Array:
        if name not in results:
            folder = tmp_path_factory.mktemp("expected")
            own = isthmus.load(_save(model, folder))
            results[name] = np.asarray(_call(name, own, IMAGES, folder, {}), dtype=np.float64)
        return results[name]

    return compute


def _save(model: isthmus.Autoencoder, folder: Path) -> Path:
    model.save(folder / "own.safetensors")
    return folder / "own.safetensors"


pytestmark = pytest.mark.usefixtures("quick_audits")


def _call(name: str, model: Any, images: Any, folder: Path, options: dict[str, Any]) -> Any:
    if name in SET_USES:
        return SET_USES[name](model, images, folder, options)
    if name in IMAGE_USES:
        return IMAGE_USES[name](model, images[:1], folder, options)
    if not options:
        return LABELLED_USES[name](model, _label(images), folder, options)
    np.savez(folder / "labelled.npz", images=images, labels=LABELS)
    return LABELLED_USES[name](model, folder / "labelled.npz", folder, options)


USES = [*SET_USES, *IMAGE_USES, *LABELLED_USES]


@pytest.mark.parametrize("name", USES)
def test_a_range_maps_the_samples_of_every_use(
    name: str, model: isthmus.Autoencoder, expected: Callable[[str], Array], tmp_path: Path
) -> None:
    own = isthmus.load(_save(model, tmp_path))
    result = _call(name, own, IMAGES * WHITE, tmp_path, {"range": (0, WHITE)})
    assert np.allclose(np.asarray(result, dtype=np.float64), expected(name), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", USES)
def test_every_use_takes_every_kind_of_array(
    name: str, kind: str, model: isthmus.Autoencoder, expected: Callable[[str], Array], tmp_path: Path
) -> None:
    own = isthmus.load(_save(model, tmp_path))
    result = _call(name, own, KINDS[kind](IMAGES), tmp_path, {})
    # `denoise` and `inpaint` answer in the type that they are given.
    rounded = name in ("denoise", "inpaint") and ("half" in kind or "bfloat16" in kind)
    assert np.allclose(np.asarray(result, dtype=np.float64), expected(name), atol=1e-2 if rounded else 1e-6)


@pytest.mark.parametrize("name", [name for name in USES if name not in LABELLED_USES])
def test_samples_on_another_scale_are_refused_with_the_range_to_add(
    name: str, model: isthmus.Autoencoder, tmp_path: Path
) -> None:
    with pytest.raises(isthmus.DataError, match="must lie in") as caught:
        _call(name, model, IMAGES * 255, tmp_path, {})
    assert caught.value.hint is not None
    assert caught.value.hint.options == (("range", (0, 255)),)


@pytest.mark.parametrize("name", [name for name in USES if name not in LABELLED_USES])
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (-np.inf, "-infinity")])
def test_nan_and_infinities_are_refused_by_name(
    name: str, value: float, word: str, model: isthmus.Autoencoder, tmp_path: Path
) -> None:
    images = IMAGES.copy()
    images[0, 2, 2] = value
    with pytest.raises(isthmus.DataError, match=rf"samples (of image 0 )?hold {word}$"):
        _call(name, model, images, tmp_path, {})


def test_a_model_remembers_the_range_of_its_training_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("counts.npy", IMAGES * WHITE)
    span = (0, WHITE)
    trained = isthmus.train("counts.npy", **LENGTH, range=span, precision="float32", out="m.safetensors")
    assert trained.training_report.images + trained.training_report.held_out == len(IMAGES)
    mapped = isthmus.read("counts.npy", range=span)
    for data, options in (("counts.npy", {"range": span}), (mapped, {})):
        result = isthmus.evaluate("m.safetensors", data, **options)  # type: ignore[arg-type]
        assert set(result.baselines) == {"pca", "mean_image"}  # its training images were found again
        assert result.gap is not None
        assert np.array_equal(result.scores["mse"], isthmus.evaluate(trained, mapped).scores["mse"])
    own = isthmus.embed("m.safetensors", "counts.npy", range=span)
    assert np.array_equal(own.vectors, isthmus.embed(trained, mapped).vectors)
    assert own.reference == "model"
    with pytest.raises(isthmus.DataError, match="must lie in"):
        isthmus.evaluate("m.safetensors", "counts.npy")


def test_a_folder_of_float_images_gives_the_range_to_add(tmp_path: Path) -> None:
    from PIL import Image

    for index, image in enumerate(IMAGES[:4, :, :, 0]):
        Image.fromarray(image * 4000).save(tmp_path / f"{index}.tif")
    for data in (tmp_path, sorted(tmp_path.glob("*.tif")), [next(tmp_path.glob("*.tif"))]):
        with pytest.raises(isthmus.DataError) as caught:
            isthmus.audit(data)
        assert caught.value.hint is not None
        assert caught.value.hint.options == (("range", (0, 4095)),)
        assert isthmus.audit(data, range=(0, 4095)).images in (1, 4)


MODEL, PHOTO = "photos.safetensors", "photos/left/1.png"
RANGE = (0.0, 510.0)  # at half the brightness
_Call = Callable[..., Any]
# Command without options, whether it takes a limit, and the same in Python.
_RANGED: dict[str, tuple[str, bool, _Call]] = {
    "embed": ("embed M photos -o v.npz", True, lambda **o: isthmus.embed(MODEL, "photos", **o)),
    "anomalies": (
        "anomalies M photos --normal photos",
        True,
        lambda **o: isthmus.anomalies(MODEL, "photos", normal="photos", **o),
    ),
    "cluster": ("cluster M photos --clusters 2", True, lambda **o: isthmus.cluster(MODEL, "photos", 2, **o)),
    "search": (
        "search M photos --like photos/left/1.png",
        True,
        lambda **o: isthmus.search(MODEL, "photos", PHOTO, **o),
    ),
    "classify": (
        "classify M photos photos --few-labels 1",
        True,
        lambda **o: isthmus.classify(MODEL, "photos", "photos", few_labels=1, **o),
    ),
    "evaluate": (
        "evaluate M photos --reference photos",
        True,
        lambda **o: isthmus.evaluate(MODEL, "photos", reference="photos", **o),
    ),
    "reconstruct": (
        "reconstruct M photos -o seen --force",
        True,
        lambda **o: isthmus.reconstruct_files(MODEL, "photos", out="seen", force=True, **o),
    ),
    "explain": (
        "explain M photos/left/1.png --reference photos --units 2",
        True,
        lambda **o: isthmus.explain(MODEL, PHOTO, reference="photos", units=2, **o),
    ),
    "augment": (
        "augment M photos -n 4 --no-filtered -o more.npz",
        True,
        lambda **o: isthmus.augment(MODEL, "photos", 4, filtered=False, **o),
    ),
    "map": ("map M photos -o m.csv", True, lambda **o: isthmus.code_map(MODEL, "photos", **o)),
    "frames": (
        "frames M photos/left -o f.npz --fill 2",
        True,
        lambda **o: isthmus.fill_frames(MODEL, "photos/left", [2], **o),
    ),
    "prior": (
        "prior M photos --kind gaussian",
        True,
        lambda **o: isthmus.fit_prior(MODEL, "photos", kind="gaussian", **o),
    ),
    "generate": (
        "generate M --like photos/left/1.png -o n.npz",
        False,
        lambda **o: isthmus.generate(MODEL, like=PHOTO, **o),
    ),
    "interpolate": (
        "interpolate M photos/left/1.png photos/left/3.png -o n.npz",
        False,
        lambda **o: isthmus.interpolate(MODEL, [PHOTO, "photos/left/3.png"], **o),
    ),
    "direction": (
        "direction M --plus photos/left --minus photos/right -o way.safetensors --force",
        True,
        lambda **o: isthmus.find_direction(MODEL, "photos/left", "photos/right", **o),
    ),
    "doctor": ("doctor M photos", True, lambda **o: isthmus.diagnose(MODEL, "photos", **o)),
    "compare": (
        "compare photos --recipes dense --code 3 --steps 2 --test photos",
        True,
        lambda **o: isthmus.compare("photos", ["dense"], code="3", steps=2, test="photos", **o),
    ),
    "tune": (
        "tune photos --over code=2 --recipe dense --folds 2 --steps 2",
        True,
        lambda **o: isthmus.tune("photos", ["code=2"], recipe="dense", folds=2, steps=2, **o),
    ),
    "audit": ("audit photos", True, lambda **o: isthmus.audit("photos", **o)),
    "train": (
        "train photos --recipe dense --code 3 --steps 2 --precision float32 -o t.safetensors --force",
        False,
        lambda **o: isthmus.train("photos", recipe="dense", code="3", steps=2, precision="float32", **o),
    ),
    "denoise": (
        "denoise photos -o clean --sigma 5 --compare --scale 2 --force",
        True,
        lambda **o: isthmus.denoise_files(
            "photos", out="clean", sigma=5, compare=True, scale=2, force=True, **o
        ),
    ),
    "compress": (
        "compress photos -o small --force",
        True,
        lambda **o: isthmus.compress_files("photos", out="small", force=True, **o),
    ),
}


def _make_row(line: str, limited: bool, call: _Call) -> Parity:
    words = [MODEL if word == "M" else word for word in line.split()]
    words += ["--range", "{:g},{:g}".format(*RANGE), *(["--limit", "10"] if limited else [])]
    return Parity(words, lambda: call(range=RANGE, **({"limit": 10} if limited else {})))


PARITY = {f"{name}, range and limit": _make_row(*row) for name, row in _RANGED.items()}
