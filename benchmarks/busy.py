"""How much longer Isthmus takes beside other busy processes, from the shell and from Python.

    python benchmarks/busy.py                                # some five minutes: idle, beside 2 and 8 loops
    python benchmarks/busy.py --against ../isthmus-0.1       # also idle beside another checkout, in pairs
    python benchmarks/busy.py --uses denoise --turns 3

A loop is a process that only counts. `shell` is a command as a whole process, start included; `python` a call
in a process that imported torch before Isthmus, after one such call. What is compared is measured in turn
within one run: in each turn once from the shell and three times from Python; medians are printed. Run it on
an otherwise idle machine. From the shell beside eight loops most of the time is importing torch on a ninth of
two cores, so that one turn tells little there: compare several. Targets: beside two loops at most 2.5 times
the idle time; beside eight at most 1.1 times the time with one thread beside eight; idle at most 1.05 times
the other checkout's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
USES = ("train", "denoise", "compress", "decompress", "embed", "anomalies")
WAYS = ("shell", "python")
STEPS, IMAGES, SIGMA = 10, 500, 25
CALLS = {"shell": 1, "python": 3}  # in each turn
LOOPS = (2, 8)
LOOP = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"  # ends with its parent
RUN = "import sys; from isthmus.__main__ import main; sys.exit(main())"
Key = tuple[str, str, str]  # use, way, condition
Seconds = dict[Key, list[float]]


def main() -> None:
    """Measure and print the table; `--json FILE` also writes every time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, metavar="DIR", help="another checkout of the package")
    parser.add_argument("--uses", default=",".join(USES))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--loops", default=",".join(map(str, LOOPS)), help="numbers of busy loops, or none")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--serve", nargs=2, metavar=("ROOT", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(*map(Path, arguments.serve))
        return
    loops = [int(n) for n in arguments.loops.split(",") if n]
    roots = {"": ROOT} | ({"against": arguments.against.resolve()} if arguments.against else {})
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        # The older checkout makes the inputs, which the newer one reads too.
        call(roots.get("against", ROOT), "-c", PREPARE, str(folder))
        seconds = measure(
            roots, folder, arguments.uses.split(","), arguments.ways.split(","), loops, arguments.turns
        )
    for line in table(seconds, loops, against=bool(arguments.against)):
        print(line)
    if arguments.json:
        rows = [{"use": u, "way": w, "condition": c, "seconds": s} for (u, w, c), s in seconds.items()]
        arguments.json.write_text(json.dumps({"cpus": os.cpu_count(), "rows": rows}, indent=1))


def measure(
    roots: dict[str, Path],
    folder: Path,
    uses: Sequence[str],
    ways: Sequence[str],
    loops: Sequence[int],
    turns: int,
) -> Seconds:
    """Seconds of every use in every way: idle with each checkout, and beside loops, also on one thread."""
    runs_by_case: Seconds = {}
    environment = {"ISTHMUS_THREADS": "1"}
    with ExitStack() as stack:
        runs: dict[tuple[str, str], Callable[[str], float]] = {}
        for name, root in roots.items():
            runs["shell", name] = shell(root, folder)
            if "python" in ways:
                runs["python", name] = stack.enter_context(server(root, folder))
        runs["shell", "one"] = shell(ROOT, folder, environment)
        if "python" in ways:
            runs["python", "one"] = stack.enter_context(server(ROOT, folder, environment))
        for way in ways:
            # The first call reads files that later ones, and processes with one thread, find in memory.
            for name in roots if way == "shell" else ("one", *roots):
                for use in uses:
                    runs[way, name](use)
        for _ in range(turns):
            for count in (0, *loops):
                with busy(count):
                    for use in uses:
                        for way in ways:
                            names = roots if count == 0 else ("", "one")
                            for name in [*names] * CALLS[way]:
                                condition = f"{count}{name and ' '}{name}"
                                seconds = runs[way, name](use)
                                print(
                                    f"{use} {way} {condition}: {seconds:.3f} s", file=sys.stderr, flush=True
                                )
                                runs_by_case.setdefault((use, way, condition), []).append(seconds)
    return runs_by_case


def table(runs_by_case: Seconds, loops: Sequence[int], *, against: bool) -> Iterator[str]:
    """Lines: idle seconds and ratios."""
    middle = {key: statistics.median(seconds) for key, seconds in runs_by_case.items()}
    titles = ["use", "way", "idle s", *(["idle / other"] if against else [])]
    for count in loops:
        titles += [f"{count} loops / idle", f"{count} loops / one thread"]
    yield "  ".join(f"{title:>20}" for title in titles)
    for use, way in dict.fromkeys((use, way) for use, way, _ in middle):
        idle = middle[use, way, "0"]
        cells = [use, way, f"{idle:.3f}"]
        if against:
            cells.append(f"{idle / middle[use, way, '0 against']:.2f}")
        for count in loops:
            beside = middle[use, way, f"{count}"]
            cells += [f"{beside / idle:.2f}", f"{beside / middle[use, way, f'{count} one']:.2f}"]
        yield "  ".join(f"{cell:>20}" for cell in cells)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Within: so many processes that only count."""
    loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def environment(root: Path, more: dict[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(root), **(more or {})}


def call(root: Path, *words: str, more: dict[str, str] | None = None) -> None:
    result = subprocess.run(
        [sys.executable, *words], env=environment(root, more), capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise SystemExit(f"{' '.join(words)}\n{result.stderr}")


def shell(root: Path, folder: Path, more: dict[str, str] | None = None) -> Callable[[str], float]:
    """`use -> seconds` of its command."""
    out = ["-o", "", "--force", "-q"]
    words = {
        "train": ["train", "train.npy", "--steps", str(STEPS), *out],
        "denoise": ["denoise", "noisy.png", "--sigma", str(SIGMA), *out],
        "compress": ["compress", "photo.png", *out],
        "decompress": ["decompress", "photo.isth", *out],
        "embed": ["embed", "model.safetensors", "test.npy", *out],
        "anomalies": ["anomalies", "model.safetensors", "test.npy", "--normal", "train.npy", *out],
    }
    suffixes = dict(zip(USES, (".safetensors", ".png", ".isth", ".png", ".npz", ".csv"), strict=True))

    def run(use: str) -> float:
        given = [str(folder / word) if (folder / word).is_file() else word for word in words[use]]
        given[given.index("-o") + 1] = str(folder / f"out{suffixes[use]}")
        start = time.perf_counter()
        call(root, "-c", RUN, *given, more=more)
        return time.perf_counter() - start

    return run


@contextmanager
def server(root: Path, folder: Path, more: dict[str, str] | None = None) -> Iterator[Callable[[str], float]]:
    """`use -> seconds` of its function in a process that imported torch first."""
    words = [sys.executable, __file__, "--serve", str(root), str(folder)]
    with subprocess.Popen(
        words, env=environment(root, more), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        asks, answers = process.stdin, process.stdout
        assert asks is not None and answers is not None

        def run(use: str) -> float:
            print(use, file=asks, flush=True)
            answer = answers.readline()
            if not answer:
                raise SystemExit(f"the process for {use} ended")
            return float(answer)

        yield run
        asks.close()


def serve(root: Path, folder: Path) -> None:
    """Answer each use on stdin with the seconds it took."""
    import torch

    torch.ones(1000, 1000).sum()
    import numpy as np
    from PIL import Image

    import isthmus

    assert Path(isthmus.__file__).parents[1] == root, f"{isthmus.__file__} is not of {root}"
    train, test = (np.load(folder / f"{name}.npy") for name in ("train", "test"))
    photo, noisy = (np.asarray(Image.open(folder / f"{name}.png")) for name in ("photo", "noisy"))
    packed = (folder / "photo.isth").read_bytes()
    model = isthmus.load(folder / "model.safetensors")
    calls: dict[str, Callable[[], object]] = {
        "train": lambda: isthmus.train(train, steps=STEPS),
        "denoise": lambda: isthmus.denoise(noisy, sigma=SIGMA),
        "compress": lambda: isthmus.compress(photo),
        "decompress": lambda: isthmus.decompress(packed),
        "embed": lambda: isthmus.embed(model, test),
        "anomalies": lambda: isthmus.anomalies(model, test, normal=train),
    }
    for line in sys.stdin:
        start = time.perf_counter()
        calls[line.strip()]()
        print(time.perf_counter() - start, flush=True)


PREPARE = f"""
import sys
from pathlib import Path
import numpy as np
from PIL import Image
import isthmus
folder = Path(sys.argv[1])
sample = Path(isthmus.__file__).parent / "images/sample/coffee.png"
photo = Image.open(sample).convert("RGB").resize((768, 512))
photo.save(folder / "photo.png")
pixels = np.asarray(photo).astype(np.float32)
noise = np.random.default_rng(0).normal(0, {SIGMA}, pixels.shape)
Image.fromarray(np.clip(pixels + noise, 0, 255).round().astype(np.uint8)).save(folder / "noisy.png")
for name in ("train", "test"):
    images = isthmus.read(f"fashion-sample:{{name}}")
    np.save(folder / f"{{name}}.npy", images.pixels[:{IMAGES}])
(folder / "photo.isth").write_bytes(isthmus.compress(np.asarray(photo)))
isthmus.train(np.load(folder / "train.npy"), steps={STEPS}).save(folder / "model.safetensors")
"""


if __name__ == "__main__":
    main()
