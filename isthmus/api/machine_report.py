"""What this machine offers: versions, processor, device, data sets, extras, each with a verdict."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from isthmus.api.result import Result
from isthmus.installation import install_command
from isthmus.version import __version__

# Extra -> the modules that it must make importable; a test compares the names with pyproject.toml.
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "umap": ("umap",),
    "search": ("faiss",),
    "parquet": ("pyarrow",),
    "formats": ("pillow_heif",),
    "docs": ("material", "mkdocs", "mkdocstrings"),
    "bench": ("bm3d", "cv2", "pillow_jxl", "pywt", "skimage"),
    "hub": ("huggingface_hub",),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "test": ("hypothesis", "mypy", "pillow_heif", "pytest", "xdist", "ruff", "skimage", "torchmetrics"),
    "privacy": ("opacus",),
    "tune": ("optuna",),
    "web": ("fastapi", "uvicorn"),
    "browser-test": ("fastapi", "httpx2", "playwright", "uvicorn"),
}
_DECODERS = {"WebP": "webp", "AVIF": "avif", "JPEG 2000": "jpg_2000"}
_GIBIBYTE = 2**30
MIN_FREE_BYTES = 2 * _GIBIBYTE
MIN_SPEEDUP = 1.1


@dataclass(frozen=True)
class Processor:
    """The processor of a machine.

    Attributes:
        model: its name as its maker writes it.
        cores: that this process may use.
        threads: that torch uses.
        memory_bytes: of the machine, or a container's limit; null where that is not known.
        instruction_set: the best that torch uses.
    """

    model: str
    cores: int
    threads: int
    memory_bytes: int | None
    instruction_set: str


@dataclass(frozen=True)
class Device:
    """What training runs on.

    Attributes:
        type: `cuda`, `mps` or `cpu`.
        name: with the name of a GPU.
    """

    type: str
    name: str


@dataclass(frozen=True)
class ConvolutionSpeed:
    """Median times of a 3x3 convolution on the CPU.

    Attributes:
        float32_seconds: in float32; null where torch cannot do it.
        bfloat16_seconds: in bfloat16.
        bfloat16_speedup: the first divided by the second.
    """

    float32_seconds: float | None
    bfloat16_seconds: float | None
    bfloat16_speedup: float | None


@dataclass(frozen=True)
class CacheFolder:
    """Where downloaded and decoded data sets are kept.

    Attributes:
        folder: its path; it need not exist yet.
        free_bytes: free space on its disk; null where that is not known.
    """

    folder: str
    free_bytes: int | None


@dataclass(frozen=True)
class Extra:
    """An optional dependency.

    Attributes:
        missing: modules that are not installed.
    """

    missing: tuple[str, ...]


@dataclass(frozen=True)
class MachineCheck:
    """One line of a `MachineReport`: what was checked, the result, and `ok` or what to do."""

    name: str
    found: str
    verdict: str = "ok"


@dataclass(frozen=True, kw_only=True, repr=False)
class MachineReport(Result):
    """What this machine offers.

    Attributes:
        versions: of isthmus, Python and the libraries that it is made with.
        system: the operating system.
        decodes: whether Pillow reads newer image formats, by format.
        cpu: the processor.
        device: what training runs on.
        convolution: how fast a convolution is in bf16 and in float32.
        cache: where downloaded and decoded data sets are kept.
        isthmus_data: the folder that `$ISTHMUS_DATA` names, or null.
        data_sets: for each named data set the folder that it is read from; null where it would be downloaded.
        extras: for each extra of the package the modules that are `missing`.
        checks: all of it in lines with a verdict, `ok` or what to do.
    """

    schema: ClassVar[str] = "isthmus.doctor/1"

    versions: Mapping[str, str]
    system: str
    decodes: Mapping[str, bool]
    cpu: Processor
    device: Device
    convolution: ConvolutionSpeed
    cache: CacheFolder
    isthmus_data: str | None
    data_sets: Mapping[str, str | None]
    extras: Mapping[str, Extra]

    @property
    def checks(self) -> tuple[MachineCheck, ...]:
        return (
            *(MachineCheck(name, version) for name, version in self.versions.items()),
            _check_decoders(self.decodes),
            MachineCheck("processor", self.cpu.model),
            _check_threads(self.cpu),
            MachineCheck("memory", _format_space(self.cpu.memory_bytes, "unknown")),
            MachineCheck("instruction set", self.cpu.instruction_set),
            MachineCheck("device", self.device.name),
            _check_speed(self.convolution.bfloat16_speedup),
            _check_cache(self.cache),
            _check_data_folder(self.isthmus_data),
            *(
                MachineCheck(
                    f"data set {name}", folder or "not here", "ok" if folder else "is downloaded when used"
                )
                for name, folder in self.data_sets.items()
            ),
            *(_check_extra(name, extra) for name, extra in self.extras.items()),
        )

    def rows(self) -> tuple[list[str], list[list[object]]]:
        return ["what", "found", "verdict"], [[c.name, c.found, c.verdict] for c in self.checks]


def check_machine() -> MachineReport:
    """Examine this machine: versions, processor, memory, device, data sets and extras, each with a verdict.

    Takes a few seconds, for the speed of bf16 and float32 is measured.

    Examples:
        >>> import isthmus
        >>> isthmus.check_machine().cpu.cores >= 1
        True
    """
    import numpy
    import PIL
    import torch
    from PIL import features

    from isthmus import machine, threads
    from isthmus.images.cache import cache_folder, known_memory_bytes

    float32, bfloat16 = map(machine.convolution_seconds, ("float32", "bfloat16"))
    cache = cache_folder()
    return MachineReport(
        versions={
            "isthmus": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "pillow": PIL.__version__,
        },
        system=platform.platform(),
        decodes={name: bool(features.check(feature)) for name, feature in _DECODERS.items()},
        cpu=Processor(
            model=machine.processor_name(),
            cores=machine.usable_cores(),
            threads=threads.count(),
            memory_bytes=known_memory_bytes(),
            instruction_set=torch.backends.cpu.get_cpu_capability(),
        ),
        device=_find_device(),
        convolution=ConvolutionSpeed(float32, bfloat16, float32 / bfloat16 if float32 and bfloat16 else None),
        cache=CacheFolder(str(cache), machine.free_bytes(cache)),
        isthmus_data=os.environ.get("ISTHMUS_DATA") or None,
        data_sets=find_data_sets(),
        extras={
            name: Extra(tuple(m for m in modules if find_spec(m) is None)) for name, modules in EXTRAS.items()
        },
    )


def find_data_sets() -> dict[str, str | None]:
    """The folder that each named data set would be read from now; None where it would be downloaded."""
    from isthmus.images.named import NAMES, where

    folders = {name: where(name) for name in NAMES}
    return {name: None if folder is None else str(folder) for name, folder in folders.items()}


def _find_device() -> Device:
    import torch

    if torch.cuda.is_available():
        return Device("cuda", f"cuda: {torch.cuda.get_device_name()}")
    if torch.backends.mps.is_available():
        return Device("mps", "mps: Apple GPU")
    return Device("cpu", "cpu: no GPU that torch can use")


def _check_decoders(decodes: Mapping[str, bool]) -> MachineCheck:
    missing = [name for name, works in decodes.items() if not works]
    works_text = ", ".join(name for name, works in decodes.items() if works) or "none of the newer ones"
    advice = f"this Pillow cannot read {', '.join(missing)}: pip install --upgrade pillow"
    return MachineCheck("image formats", works_text, advice if missing else "ok")


def _check_threads(cpu: Processor) -> MachineCheck:
    cores_text = f"{cpu.cores} usable, torch uses {cpu.threads}"
    if cpu.threads <= cpu.cores:
        return MachineCheck("cores", cores_text)
    advice = f"more threads than cores slow each other down: set ISTHMUS_THREADS={cpu.cores}"
    return MachineCheck("cores", cores_text, advice)


def _check_speed(speedup: float | None) -> MachineCheck:
    if speedup is None:
        return MachineCheck("bf16 convolution", "not available", "ok: training uses float32")
    verdict = "ok: bf16 is the faster" if speedup > MIN_SPEEDUP else "ok: float32 will do"
    return MachineCheck("bf16 convolution", f"{speedup:.2f} × the pace of float32", verdict)


def _check_cache(cache: CacheFolder) -> MachineCheck:
    is_full = cache.free_bytes is not None and cache.free_bytes < MIN_FREE_BYTES
    cache_text = f"{cache.folder}, {_format_space(cache.free_bytes, 'unknown space')} free"
    return MachineCheck("cache", cache_text, "little space left" if is_full else "ok")


def _check_data_folder(folder: str | None) -> MachineCheck:
    is_missing = folder is not None and not Path(folder).expanduser().is_dir()
    return MachineCheck("$ISTHMUS_DATA", folder or "not set", "no such folder" if is_missing else "ok")


def _check_extra(name: str, extra: Extra) -> MachineCheck:
    if not extra.missing:
        return MachineCheck(f"extra {name}", "installed")
    missing_text = f"without {', '.join(extra.missing)}"
    return MachineCheck(f"extra {name}", missing_text, f"missing: {install_command(name)}")


def _format_space(size_bytes: int | None, unknown: str) -> str:
    return unknown if size_bytes is None else f"{size_bytes / _GIBIBYTE:.1f} GiB"
