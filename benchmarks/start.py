"""How long a command takes from the shell, compared with importing torch and the same work in a warm process.

    python benchmarks/start.py                              every command, 7 rounds
    python benchmarks/start.py --rounds 3 --only denoise --photo photo.jpg

Each round runs, one after another: `python -c "import torch"`, the cold command, and a process that runs the
command several times, of which the first is left out. The margin of a round is

    import torch + repeated call + 0.4 s - cold command,

in seconds by the clock; it should not be negative. Medians over the rounds are printed. `--help` and `info`
load no torch: `--help` is compared with 0.2 s alone, `info` is printed without a margin. `anomalies` scores
one gray picture of 300×250 by a stored detector: its margin is import torch + 2 s - cold command. `generate`
draws 16 images of 64×64 from a `generative` model with its flow: its margin is 5 s - cold command. On a
machine that is busy with other work, `--processor` with OMP_NUM_THREADS=1 counts seconds of the processor
instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

ALLOWED_SECONDS = 0.4
ALLOWED_HELP_SECONDS = 0.2
ALLOWED_ANOMALIES_SECONDS = 2.0
ALLOWED_GENERATE_SECONDS = 5.0
INSPECTED = (250, 300)  # height and width of a picture
REPEATED = """
import contextlib, io, json, sys, time
from isthmus.__main__ import main
seconds = []
clock = time.process_time if sys.argv.pop(1) == "processor" else time.perf_counter
for _ in range(4):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        began = clock()
        code = main(sys.argv[1:])
        seconds.append(clock() - began)
    assert code == 0, code
print(json.dumps(seconds[1:]))
"""


def make_inputs(folder: Path, photo: str | None, only: list[str] | None) -> dict[str, list[str]]:
    """Write a 768×512 photo, its noisy copy, a mask and a feature model; return the words of each command."""
    if photo is not None:
        image = Image.open(photo).convert("RGB")
    else:
        from skimage import data

        image = Image.fromarray(data.coffee())
    clean = np.asarray(image.resize((768, 512), Image.Resampling.LANCZOS))
    generator = np.random.default_rng(0)
    noisy = (clean + generator.normal(0, 25, clean.shape)).clip(0, 255).round().astype(np.uint8)
    mask = np.zeros(clean.shape[:2], np.uint8)
    mask[100:140, 200:500] = 255
    for name, pixels in (("clean", clean), ("noisy", noisy), ("mask", mask)):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    features = f"{folder}/features.safetensors"
    if only is None or "embed" in only:
        run(["train", "fashion-sample", "--recipe", "features", "--steps", "20", "-o", features])
        run(["embed", features, "fashion-sample", "-o", f"{folder}/out.npz", "--store"])
    run(["compress", f"{folder}/clean.png", "-o", f"{folder}/clean.isth"])
    words = {
        "compress": ["compress", f"{folder}/clean.png", "-o", f"{folder}/out.isth", "--force"],
        "decompress": ["decompress", f"{folder}/clean.isth", "-o", f"{folder}/out.png", "--force"],
        "denoise": ["denoise", f"{folder}/noisy.png", "-o", f"{folder}/out.png", "--force"],
        "inpaint": ["inpaint", f"{folder}/clean.png", "--mask", f"{folder}/mask.png",
                    "-o", f"{folder}/out.png", "--force"],
        "embed": ["embed", features, "fashion-sample", "-o", f"{folder}/out.npz", "--force"],
        "anomalies": ["anomalies", f"{folder}/defects.safetensors", f"{folder}/part.png"],
        "generate": ["generate", f"{folder}/generative.safetensors", "-n", "16",
                     "-o", f"{folder}/new/", "--force"],
        "info": ["info", f"{folder}/clean.isth"],
        "--help": ["--help"],
    }  # fmt: skip
    if only is None or "anomalies" in only:
        store_detector(folder, generator)
    if only is None or "generate" in only:
        store_generator(folder, generator)
    return {name: given for name, given in words.items() if only is None or name in only}


def store_detector(folder: Path, generator: np.random.Generator) -> None:
    """A model of recipe `defects` with a detector; what it has learned does not matter for its speed."""
    for number in range(21):
        gray = (150 + generator.normal(0, 4, INSPECTED)).round().astype(np.uint8)
        path = folder / "part.png" if number == 20 else folder / "parts" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(gray).save(path)
    model, parts = f"{folder}/defects.safetensors", f"{folder}/parts"
    run(["train", parts, "--recipe", "defects", "--steps", "2", "-o", model])
    run(["anomalies", model, parts, "--normal", parts, "--score", "segmentation", "--store"])


def store_generator(folder: Path, generator: np.random.Generator) -> None:
    """A model of recipe `generative` for 64×64, with its prior; what it has learned does not matter."""
    np.save(folder / "noise.npy", generator.integers(0, 256, (200, 64, 64, 1), dtype=np.uint8))
    model = f"{folder}/generative.safetensors"
    run(["train", f"{folder}/noise.npy", "--recipe", "generative", "--steps", "4", "-o", model])


def run(words: list[str], *, processor: bool = False) -> float:
    """Seconds of a command in a new process."""
    return timed([sys.executable, "-m", "isthmus", *words], processor=processor)


def timed(command: list[str], *, processor: bool) -> float:
    before = os.times()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = os.times()
    if not processor:
        return after.elapsed - before.elapsed
    return after.children_user + after.children_system - before.children_user - before.children_system


def repeated(words: list[str], *, processor: bool) -> float:
    """Median seconds of the same call in a process that has made it once already."""
    clock = "processor" if processor else "wall"
    done = subprocess.run(
        [sys.executable, "-c", REPEATED, clock, *words], stdout=subprocess.PIPE, text=True, check=True
    )
    seconds: list[float] = json.loads(done.stdout.splitlines()[-1])
    return median(seconds)


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--processor", action="store_true", help="user and system seconds, not those by the clock"
    )
    parser.add_argument("--only", action="append", metavar="COMMAND", help="may be given several times")
    parser.add_argument("--photo", help="instead of scikit-image's cup of coffee; resized to 768×512")
    parser.add_argument("--json", metavar="FILE", help="write all rounds to this file")
    args = parser.parse_args()
    # Installed packages come with bytecode; a checkout shall be measured with it, too.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    import_torch = [sys.executable, "-c", "import torch"]
    rounds: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as place:
        inputs = make_inputs(Path(place), args.photo, args.only)
        for words in inputs.values():
            run(words)
        for _ in range(args.rounds):
            for name, words in inputs.items():
                seconds = {"cold": run(words, processor=args.processor)}
                if name not in ("info", "--help"):
                    seconds |= {"torch": timed(import_torch, processor=args.processor)}
                    seconds |= {"repeated": repeated(words, processor=args.processor)}
                    allowed = seconds["repeated"] + ALLOWED_SECONDS
                    if name == "anomalies":
                        allowed = ALLOWED_ANOMALIES_SECONDS
                    allowed = ALLOWED_GENERATE_SECONDS if name == "generate" else seconds["torch"] + allowed
                    seconds |= {"margin": allowed - seconds["cold"]}
                elif name == "--help":
                    seconds |= {"margin": ALLOWED_HELP_SECONDS - seconds["cold"]}
                rounds.setdefault(name, []).append(seconds)
    print(f"{'seconds':12}  import torch  repeated   cold  margin")
    for name, found_rounds in rounds.items():
        cells = [
            f"{median(round_seconds[key] for round_seconds in found_rounds):{width}.2f}"
            if key in found_rounds[0]
            else " " * width
            for key, width in (("torch", 12), ("repeated", 8), ("cold", 5), ("margin", 6))
        ]
        print("  ".join([f"{name:12}", *cells]).rstrip())
    if args.json:
        Path(args.json).write_text(json.dumps(rounds, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
