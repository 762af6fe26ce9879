"""Sparse codes beside the classical ones: the error left when k coefficients of each image are kept.

    python benchmarks/sparse_representations.py fashion-mnist            # about six minutes on one core
    python benchmarks/sparse_representations.py mnist --methods dct,wavelet,pca,dictionary
    python benchmarks/sparse_representations.py photos --photos FOLDER --photos-test FOLDER
    python benchmarks/sparse_representations.py --table                  # the page's table and figure

Every method sees 10,000 training images and is measured on 1,000 others; `photos` are gray pieces of 28×28.
The training mean is free for all. Kept are the k largest coefficients of each image, or what orthogonal
matching pursuit or a top-k unit chooses. Results are added to benchmarks/results/sparse_representations.json,
and what is there is not measured again. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from isthmus.atomic import write_bytes, write_text
from isthmus.images.reading import read
from isthmus.images.store import ImageSet
from isthmus.reports.charts import draw_curves
from isthmus.reports.image_sheets import draw_image_rows
from isthmus.training.config import TrainConfig
from isthmus.training.session import train_model

Images = npt.NDArray[np.float64]  # (N, H, W) in [0, 1]
Method = Callable[[Images, Images, int], Images]

RESULTS = Path(__file__).parent / "results" / "sparse_representations.json"
FIGURE = Path(__file__).parents[1] / "docs" / "pictures" / "sparse-representations.png"
COEFFICIENT_COUNTS = (8, 16, 32, 64)
TRAIN, TEST, SIDE = 10_000, 1000, 28
ATOMS = 512
STEPS = 2500  # of 256 images: about a minute each


def dct(train: Images, test: Images, k: int) -> Images:
    from scipy.fft import dctn, idctn

    mean = train.mean(0)
    coefficients = largest(dctn(test - mean, axes=(1, 2), norm="ortho").reshape(len(test), -1), k)
    return idctn(coefficients.reshape(test.shape), axes=(1, 2), norm="ortho") + mean


def wavelet(train: Images, test: Images, k: int) -> Images:
    """The orthogonal wavelet and depth that are best on training images, on 32×32 with reflected borders."""
    some = train[:500]
    choices = [(name, level) for name in ("haar", "db2", "db4", "sym4", "coif1") for level in (2, 3, 4)]
    best = min(choices, key=lambda choice: mse(some, one_wavelet(train, some, k, *choice)))
    return one_wavelet(train, test, k, *best)


def one_wavelet(train: Images, test: Images, k: int, name: str, level: int) -> Images:
    import pywt

    mean = train.mean(0)
    wide = np.pad(test - mean, ((0, 0), (2, 2), (2, 2)), mode="symmetric")
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # more levels than PyWavelets advises; with periodic borders they are exact
        parts = pywt.wavedec2(wide, name, mode="periodization", level=level, axes=(1, 2))
        array, where = pywt.coeffs_to_array(parts, axes=(1, 2))
        coefficients = largest(array.reshape(len(test), -1), k).reshape(array.shape)
        back = pywt.array_to_coeffs(coefficients, where, output_format="wavedec2")
        again = pywt.waverec2(back, name, mode="periodization", axes=(1, 2))
    return again[:, 2:-2, 2:-2] + mean


def components(train: Images) -> tuple[Images, Images]:
    flat = train.reshape(len(train), -1)
    mean = flat.mean(0)
    vectors = np.linalg.eigh((flat - mean).T @ (flat - mean))[1][:, ::-1]
    return vectors, mean


def pca(train: Images, test: Images, k: int) -> Images:
    """The first k components, the same for every image."""
    vectors, mean = components(train)
    scores = (test.reshape(len(test), -1) - mean) @ vectors[:, :k]
    return (scores @ vectors[:, :k].T + mean).reshape(test.shape)


def pca_largest(train: Images, test: Images, k: int) -> Images:
    """The k components that are largest in each image."""
    vectors, mean = components(train)
    scores = largest((test.reshape(len(test), -1) - mean) @ vectors, k)
    return (scores @ vectors.T + mean).reshape(test.shape)


_LEARNED: dict[int, tuple[Images, Images]] = {}


def dictionary(train: Images, test: Images, k: int) -> Images:
    """512 atoms by mini-batch dictionary learning (Mairal et al. 2009), orthogonal matching pursuit."""
    from sklearn.decomposition import MiniBatchDictionaryLearning
    from sklearn.linear_model import orthogonal_mp_gram

    key = id(train)
    if key not in _LEARNED:
        flat = train.reshape(len(train), -1)
        mean = flat.mean(0)
        learner = MiniBatchDictionaryLearning(
            ATOMS, alpha=0.3, batch_size=256, max_iter=12, fit_algorithm="cd", random_state=0, n_jobs=1
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _LEARNED[key] = learner.fit(flat - mean).components_, mean
    atoms, mean = _LEARNED[key]
    atoms = atoms / np.linalg.norm(atoms, axis=1, keepdims=True).clip(1e-12)
    flat = test.reshape(len(test), -1) - mean
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        codes = orthogonal_mp_gram(atoms @ atoms.T, atoms @ flat.T, n_nonzero_coefs=k)
    return (codes.T @ atoms + mean).reshape(test.shape)


def autoencoder(train_images: Images, test: Images, k: int) -> Images:
    """512 units of which k are kept, a hidden layer on either side: one pass codes an image, no search."""
    settings = {
        "bottleneck.k": str(k),
        "backbone.kind": "dense",
        "backbone.width": "512",
        "backbone.output": "linear",
        "optimiser.batch": "256",
    }
    model = train_model(
        as_set(train_images), TrainConfig(steps=STEPS), recipe="sparse", code=str(ATOMS), settings=settings
    )
    output = model.reconstruct(np.rint(test[..., None] * 255).astype(np.uint8))
    return output[..., 0].astype(np.float64) / 255


METHODS: dict[str, Method] = {
    "dct": dct,
    "wavelet": wavelet,
    "pca": pca,
    "pca-largest": pca_largest,
    "dictionary": dictionary,
    "autoencoder": autoencoder,
}
NAMES = {
    "dct": "DCT",
    "wavelet": "wavelet",
    "pca": "PCA, the first k",
    "pca-largest": "PCA, the k largest",
    "dictionary": "dictionary, 512 atoms, OMP",
    "autoencoder": "sparse autoencoder, 512 units",
}


def largest(values: Images, k: int) -> Images:
    """The k of each row that are largest in magnitude, the rest 0."""
    order = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :k]
    largest_values = np.zeros_like(values)
    np.put_along_axis(largest_values, order, np.take_along_axis(values, order, 1), 1)
    return largest_values


def mse(images: Images, again: Images) -> float:
    return float(np.square(images - np.clip(again, 0, 1)).mean())


def as_set(images: Images) -> ImageSet:
    pixels = np.rint(images[..., None] * 255).astype(np.uint8)
    return ImageSet(pixels, tuple(map(str, range(len(pixels)))))


def pieces(folder: str, count: int) -> Images:
    """Gray pieces of 28×28, as many from every photograph, at random places."""
    images = read(folder, channels=1)
    random = np.random.default_rng(0)
    patches = []
    for number in range(count):
        image = images.image(number % len(images))[..., 0]
        top, left = (int(random.integers(side - SIDE + 1)) for side in image.shape)
        patches.append(image[top : top + SIDE, left : left + SIDE])
    return np.stack(patches) / 255.0


def load(arguments: argparse.Namespace) -> tuple[Images, Images]:
    if arguments.data == "photos":
        return pieces(arguments.photos, TRAIN), pieces(arguments.photos_test, TEST)
    parts = [(read(f"{arguments.data}:train"), TRAIN), (read(f"{arguments.data}:test"), TEST)]
    first, second = (s.stack(np.linspace(0, len(s) - 1, n).astype(int))[..., 0] / 255.0 for s, n in parts)
    return first, second


def position_bits(method: str, k: int) -> float:
    """Bits to say which k were kept: log₂ C(n, k); none where they are always the first."""
    n = ATOMS if method in ("dictionary", "autoencoder") else SIDE * SIDE
    return 0.0 if method == "pca" else math.log2(math.comb(n, k))


def write_table() -> None:
    results = json.loads(RESULTS.read_text("utf-8"))
    for data, methods in results.items():
        print(f"\n| {data}, squared error | " + " | ".join(f"k = {k}" for k in COEFFICIENT_COUNTS) + " |")
        print("|---|" + "---|" * len(COEFFICIENT_COUNTS))
        for method, name in NAMES.items():
            cells = [methods.get(method, {}).get(str(k), {}).get("mse") for k in COEFFICIENT_COUNTS]
            print(f"| {name} | " + " | ".join("" if c is None else f"{c:.4f}" for c in cells) + " |")
    shown = results.get("fashion-mnist") or next(iter(results.values()))
    series = {
        NAMES[m]: [(float(k), -10 * math.log10(v["mse"])) for k, v in shown[m].items()]
        for m in NAMES
        if m in shown
    }
    write_bytes(
        FIGURE,
        draw_curves(series, x_label="coefficients kept per image", y_label="PSNR of the mean error (dB)"),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?", choices=["mnist", "fashion-mnist", "photos"])
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--photos")
    parser.add_argument("--photos-test")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--strip", metavar="FILE.png", help="reconstructions of ten images at k = 16")
    arguments = parser.parse_args()
    if arguments.table:
        write_table()
        return
    first, test = load(arguments)
    rows = [("given", test[:10])]
    for method in arguments.methods.split(","):
        for k in COEFFICIENT_COUNTS:
            results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
            done = results.setdefault(arguments.data, {}).setdefault(method, {})
            if str(k) in done and not (arguments.strip and k == 16):
                continue
            began = time.process_time()
            again = METHODS[method](first, test, k)
            done[str(k)] = {
                "mse": mse(test, again),
                "position_bits": round(position_bits(method, k), 1),
                "cpu_seconds": round(time.process_time() - began, 1),
            }
            done = dict(sorted(done.items(), key=lambda item: int(item[0])))
            results[arguments.data][method] = done
            write_text(RESULTS, json.dumps(results, indent=1) + "\n")
            print(arguments.data, method, k, done[str(k)], flush=True)
            if k == 16:
                rows.append((NAMES[method], np.clip(again[:10], 0, 1)))
    if arguments.strip:
        write_bytes(arguments.strip, draw_image_rows(rows))


if __name__ == "__main__":
    main()
