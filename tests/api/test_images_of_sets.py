"""One image of a set stands where an image is expected, and sets stand among the inputs of file uses."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

import isthmus
from isthmus.__main__ import main
from isthmus.images.conform import to_dtype
from isthmus.images.reading import read_image

Array = npt.NDArray[Any]


@pytest.fixture
def array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Array:
    """What `t.npy` in the working folder holds: 12 images of 16×16 pixels."""
    monkeypatch.chdir(tmp_path)
    levels = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 1), dtype=np.uint8)
    np.save("t.npy", levels)
    return levels


def _names(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.*"))


def test_image_uses_take_one_image_of_a_set(array: Array) -> None:
    mask = np.zeros((16, 16), dtype=np.uint8)
    mask[4:6, 4:6] = 255
    np.save("mask.npy", np.stack([mask, mask.T]))
    assert np.array_equal(isthmus.denoise("t.npy[5]", sigma=9), isthmus.denoise(array[5], sigma=9))
    assert np.array_equal(isthmus.inpaint("t.npy[-1]", mask), isthmus.inpaint(array[-1], mask))
    assert np.array_equal(isthmus.inpaint("t.npy[3]", "mask.npy[1]"), isthmus.inpaint(array[3], mask.T))
    assert isthmus.compress("t.npy[5]") == isthmus.compress(array[5])
    assert isthmus.compress("fashion-sample:test[17]") == isthmus.compress(
        isthmus.read("fashion-sample:test")[17]
    )
    with pytest.raises(isthmus.DataError, match="12"):
        isthmus.compress("t.npy")
    with pytest.raises(isthmus.DataError, match=r"from \[0\] to \[11\]"):
        isthmus.denoise("t.npy[12]", sigma=9)


def test_file_uses_take_them_under_clear_names(array: Array) -> None:
    files = isthmus.denoise_files(["t.npy[5]", "fashion-sample:test[17]"], out="clean", sigma=9).files
    assert _names("clean") == ["fashion-sample-test-17.png", "t-5.png"]
    assert [(file.name, file.height) for file in files] == [("t-5", 16), ("fashion-sample-test-17", 28)]
    assert np.array_equal(read_image("clean/t-5.png"), isthmus.denoise(array[5], sigma=9))
    isthmus.denoise_files("t.npy[5]", out="one.png", sigma=9)
    assert Path("one.png").read_bytes() == Path("clean/t-5.png").read_bytes()
    isthmus.compress_files("t.npy[10:12]", out="small")
    assert _names("small") == ["t-10.isth", "t-11.isth"]
    assert Path("small/t-11.isth").read_bytes() == isthmus.compress(array[11])
    original = isthmus.compress_files("t.npy[0]", out="small/0.isth").original_bytes
    assert original == array[0].nbytes
    mask = np.zeros((16, 16), dtype=np.uint8)
    mask[4:6, 4:6] = 255
    np.save("mask.npy", mask)
    isthmus.inpaint_files("t.npy[2]", out="whole", mask="mask.npy")
    assert np.array_equal(read_image("whole/t-2.png"), isthmus.inpaint(array[2], mask))


@pytest.mark.usefixtures("array")
def test_the_shell_takes_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["denoise", "t.npy[5]", "-o", "clean/", "--sigma", "9", "-q"]) == 0
    assert main(["compress", "t.npy[5]", "-o", "t.isth", "-q"]) == 0
    assert main(["inpaint", "t.npy[5]", "--find", "dead-pixels", "-o", "whole/", "-q"]) == 0
    assert _names("clean") == _names("whole") == ["t-5.png"]
    assert main(["denoise", "t.npy[50]", "-o", "clean/"]) == 1
    assert "from [0] to [11]" in capsys.readouterr().err


@pytest.mark.usefixtures("array")
def test_an_image_that_has_a_file_is_taken_as_that_file() -> None:
    isthmus.denoise_files("t.npy[:3]", out="photos", sigma=9)
    assert [file.name for file in isthmus.denoise_files("photos[1]", out="one", sigma=9).files] == ["t-1.png"]
    assert _names("one") == ["t-1.png"]


@pytest.mark.usefixtures("array")
def test_noise_beyond_black_and_white_and_other_scales_are_read(array: Array) -> None:
    noisy = array.astype(np.float32) / 255 * 1.4 - 0.2
    np.save("noisy.npy", noisy)
    np.save("counts.npy", array.astype(np.int16) * 10 - 100)
    restored = isthmus.denoise("noisy.npy[3]", sigma=20)
    assert np.array_equal(restored, isthmus.denoise(noisy[3], sigma=20))
    isthmus.denoise_files("noisy.npy[3]", out="clean", sigma=20)
    assert np.allclose(read_image("clean/noisy-3.png"), restored * 65535, atol=0.51)  # 16 bits of floats
    isthmus.denoise_files("counts.npy[3]", out="clean", sigma=20, range=(-100, 2450))
    expected = isthmus.denoise(array[3].astype(np.float32) / 255, sigma=20)
    assert np.allclose(read_image("clean/counts-3.png") / 257, expected * 255, atol=0.51)
    isthmus.compress_files("counts.npy[3]", out="counts.isth", range=(-100, 2450))
    assert Path("counts.isth").read_bytes() == isthmus.compress(array[3])
    with pytest.raises(isthmus.DataError) as caught:
        isthmus.compress_files("counts.npy", out="small")
    assert caught.value.hint is not None and caught.value.hint.options[0][0] == "range"


def test_a_limit_takes_files_evenly(array: Array) -> None:
    for use in (isthmus.denoise_files, isthmus.inpaint_files, isthmus.compress_files):
        extra: dict[str, Any] = {"find": "dead-pixels"} if use is isthmus.inpaint_files else {}
        use("t.npy", out="some", limit=3, **extra)
    assert _names("some") == [f"t-{n}.{end}" for n in (0, 11, 6) for end in ("isth", "png")]
    assert len(array) == 12
    with pytest.raises(isthmus.UsageError, match="limit=0"):
        isthmus.denoise_files("t.npy", out="more", limit=0)


def _write_png(levels: Array) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels).save(stream, "PNG")
    return stream.getvalue()


def _read_levels(path: str) -> Array:
    """8 bits of an image file: what floats became has 16."""
    return to_dtype(read_image(path), np.uint8)


OBJECTS: dict[str, Callable[[Array], Any]] = {
    "array": lambda x: x[:2],
    "floats": lambda x: x[:2] / np.float32(255),
    "read set": lambda x: isthmus.read(x[:2]),
    "tensor": lambda x: torch.from_numpy(x[:2]).permute(0, 3, 1, 2),
    "list of arrays": lambda x: [x[0], x[1]],
    "tuple": lambda x: (x[0], x[1]),
    "generator": lambda x: (item for item in x[:2]),
    "Pillow images": lambda x: [Image.fromarray(item[..., 0]) for item in x[:2]],
    "bytes": lambda x: [_write_png(x[0]), bytearray(_write_png(x[1]))],
    "open files": lambda x: [io.BytesIO(_write_png(item)) for item in x[:2]],
    "mixed": lambda x: [x[0], "t.npy[1]"],
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_file_uses_take_sets_of_every_kind(kind: str, array: Array) -> None:
    last = "t-1" if kind == "mixed" else "1"
    isthmus.denoise_files(OBJECTS[kind](array), out="clean", sigma=9)
    assert _names("clean") == ["0.png", f"{last}.png"]
    assert np.array_equal(_read_levels(f"clean/{last}.png"), isthmus.denoise(array[1], sigma=9))
    isthmus.compress_files(OBJECTS[kind](array), out="small")
    assert Path(f"small/{last}.isth").read_bytes() == isthmus.compress(array[1])
    mask = np.zeros((16, 16), dtype=np.uint8)
    mask[4:6, 4:6] = 255
    np.save("mask.npy", mask)
    isthmus.inpaint_files(OBJECTS[kind](array), out="whole", mask="mask.npy")
    assert np.array_equal(_read_levels(f"whole/{last}.png"), isthmus.inpaint(array[1], mask))


def test_file_uses_keep_the_transparency_of_objects(array: Array) -> None:
    colour = np.concatenate([array[0], array[1], array[2], array[3]], axis=2)
    isthmus.denoise_files([_write_png(colour), Image.fromarray(colour)], out="clean", sigma=9)
    for name in ("0", "1"):
        with Image.open(f"clean/{name}.png") as written:
            assert np.array_equal(np.asarray(written)[..., 3], colour[..., 3])


def test_file_uses_skip_what_is_broken_in_a_list_and_refuse_other_scales(array: Array) -> None:
    made = isthmus.denoise_files([array[0], b"no image"], out="clean", sigma=9)
    assert [item.name for item in made.skipped] == ["1"] and _names("clean") == ["0.png"]
    with pytest.raises(isthmus.DataError):
        isthmus.denoise_files(b"no image", out="other", sigma=9)
    with pytest.raises(isthmus.DataError) as caught:
        isthmus.compress_files(array.astype(np.float32), out="small")
    assert caught.value.hint is not None and caught.value.hint.options == (("range", (0, 255)),)
    with pytest.raises(isthmus.DataError, match="a path is expected here, not a bytes"):
        isthmus.verify_files([b"no path"])  # type: ignore[list-item]


def test_file_uses_say_what_was_chosen_in_reading_an_archive(array: Array) -> None:
    colour = np.concatenate([array[0], array[1], array[2], array[3]], axis=2)
    with tarfile.open("t.tar", "w") as archive:
        content = _write_png(colour)
        entry = tarfile.TarInfo("0.png")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    result = isthmus.denoise_files("t.tar", out="clean", sigma=9)
    assert any("transparent parts" in note for note in result.notes)


LIMITED: dict[str, Callable[[str, str], int]] = {
    "classify": lambda m, p: isthmus.classify(m, p, p, few_labels=0, limit=6).test_images,
    "explain": lambda m, p: isthmus.explain(m, f"{p}/left/1.png", reference=p, units=1, limit=6).images,
    "audit": lambda _, p: isthmus.audit(p, limit=6).images,
    "frames": lambda m, p: isthmus.reconstruct_frames(m, f"{p}/left", limit=6).count,
    "compare": lambda _, p: isthmus.compare(p, ["dense"], code="3", steps=2, test=p, limit=6).training_images,
    "tune": lambda _, p: isthmus.tune(p, ["code=2"], recipe="dense", steps=2, folds=2, limit=6).images,
    "prior": lambda m, p: isthmus.fit_prior(m, p, kind="gaussian", limit=6).images,
    "direction": lambda m, p: isthmus.find_direction(m, f"{p}/left", f"{p}/right", limit=6).images[1],
    "diagnose": lambda m, p: isthmus.diagnose(m, p, limit=6).observed.images,  # type: ignore[union-attr]
    "map": lambda m, p: isthmus.code_map(m, p, method="pca", limit=6).images,
    "train": lambda _, p: _count_trained(isthmus.train(p, recipe="dense", code="2", steps=1, limit=6)),
    "plan": lambda _, p: isthmus.plan_training(p, recipe="dense", code="2", validation=0, limit=6).images,
    "verify": lambda _, p: isthmus.verify_files(_compress(p), limit=6).found,
    "decompress": lambda _, p: len(isthmus.decompress_files(_compress(p), out="again", limit=6).files),
}


def _count_trained(model: isthmus.Autoencoder) -> int:
    return int(model.training_report.images + model.training_report.held_out)


def _compress(photos: str) -> str:
    isthmus.compress_files(photos, out="small")
    return "small"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", LIMITED)
def test_a_limit_takes_at_most_so_many_images(name: str) -> None:
    assert LIMITED[name]("photos.safetensors", "photos") == 6


@pytest.mark.usefixtures("here")
def test_augment_begins_with_at_most_so_many_images() -> None:
    some, all_images = (
        isthmus.augment("photos.safetensors", "photos", 6, filtered=False, limit=limit).pixels
        for limit in (4, None)
    )
    assert len(some) == len(all_images) == 6
    assert not np.array_equal(some, all_images)


@pytest.mark.usefixtures("here")
def test_one_open_file_may_be_given_several_times() -> None:
    model = isthmus.load("photos.safetensors")
    photo = Path("photos/left/1.png")
    expected = isthmus.embed(model, [photo, photo], what="code").vectors
    with photo.open("rb") as file:
        result = isthmus.embed(model, [file, file], what="code").vectors
        assert np.array_equal(result, expected)
        assert np.allclose(isthmus.embed(model, file, what="code").vectors, expected[:1])
        assert len(isthmus.interpolate(model, [file, file], frames=3).pixels) == 3
        assert np.allclose(model.encode(file).flat(), expected[0])
    pipe = _Pipe(photo.read_bytes())
    assert np.array_equal(isthmus.embed(model, [pipe, pipe], what="code").vectors, expected)


class _Pipe(io.RawIOBase):
    """A stream that can be read once."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        content, self._content = self._content, b""
        assert size == -1
        return content


@pytest.mark.usefixtures("here")
def test_the_images_of_a_limited_training_are_found_again() -> None:
    Path("names.txt").write_text("".join(f"left/{number}.png\n" for number in range(1, 24, 2)))
    requests: tuple[dict[str, Any], ...] = ({"limit": 9}, {"names_from": "names.txt"})
    for number, options in enumerate(requests):
        out = f"{number}.safetensors"
        isthmus.train("photos", recipe="dense", code="2", steps=1, out=out, **options)
        result = isthmus.evaluate(out, "photos")
        assert result.gap is not None and result.baselines
    with pytest.raises(isthmus.UsageError, match="limit=0"):
        isthmus.train("photos", recipe="dense", code="2", steps=1, limit=0)


FILE_USES: dict[str, Callable[[Any, Path], Any]] = {
    "compress": lambda inputs, out: isthmus.compress_files(inputs, out=out),
    "denoise": lambda inputs, out: isthmus.denoise_files(inputs, out=out, sigma=5),
    "inpaint": lambda inputs, out: isthmus.inpaint_files(inputs, out=out, mask_colour="#c8c8c8"),
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("use", FILE_USES)
def test_a_list_of_paths_stands_for_its_files(use: str, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    written = "\ufeffpath,label\n../photos/left/1.png,a\n../photos/right/0.png,b\n../photos/missing.png,b\n"
    Path("lists/some.csv").write_text(written, "utf-8")
    Path("some.txt").write_text("photos/left/1.png\nphotos/left/3.png\n")
    result = FILE_USES[use](["lists/some.csv", "photos/left/5.png"], Path("made"))
    assert len(result.files) == 3 and [Path(item.name).name for item in result.skipped] == ["missing.png"]
    made = [path.relative_to("made") for path in Path("made").rglob("*") if path.is_file()]
    assert sorted(path.stem for path in made) == ["0", "1", "5"]
    assert not [path for path in tmp_path.rglob("*.isth") if "made" not in path.parts]
    assert len(FILE_USES[use]("some.txt", Path("more")).files) == 2
    assert {path.stem for path in Path("more").rglob("*") if path.is_file()} == {"1", "3"}
