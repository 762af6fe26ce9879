"""What this machine is: processor, free space, and how fast it convolves in bf16 and in float32."""

from __future__ import annotations

import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path


def processor() -> str:
    """The processor's name as its maker writes it, or the architecture where the system does not tell."""
    if sys.platform == "linux":
        for line in _lines(Path("/proc/cpuinfo")):
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model", "Hardware") and value.strip():
                return value.strip()
    elif sys.platform == "darwin":
        try:
            asked = subprocess.run(
                ["sysctl", "-n", "machdep.cpu.brand_string"],
                capture_output=True,
                text=True,
                check=True,
                timeout=5,
            )
            return asked.stdout.strip()
        except (OSError, subprocess.SubprocessError):
            pass
    return platform.processor() or platform.machine()


def free_bytes(folder: Path) -> int | None:
    """Free space where `folder` is or would be made; None if its disk cannot be asked."""
    for place in (folder, *folder.absolute().parents):
        if place.exists():
            try:
                return shutil.disk_usage(place).free
            except OSError:
                return None
    return None


def convolution_seconds(dtype_name: str, *, limit: float = 1.0) -> float | None:
    """Median seconds of a 3×3 convolution, 64 to 64 channels on 8 images of 32×32, channels-last, on the CPU.

    Args:
        dtype_name: a floating-point torch dtype, "float32" or "bfloat16".
        limit: stop measuring after so many seconds; a machine that emulates the type needs long for each.

    Returns:
        The median, or None where torch cannot convolve in this type.
    """
    import torch

    dtype = getattr(torch, dtype_name)
    weight = torch.ones(64, 64, 3, 3, dtype=dtype).to(memory_format=torch.channels_last)
    images = torch.ones(8, 64, 32, 32, dtype=dtype).to(memory_format=torch.channels_last)
    seconds: list[float] = []
    start = time.perf_counter()
    try:
        with torch.inference_mode():
            # The first pass chooses and prepares a kernel; it says nothing about the pace of the others.
            torch.nn.functional.conv2d(images, weight, padding=1)
            while len(seconds) < 100 and time.perf_counter() - start < limit:
                begin = time.perf_counter()
                torch.nn.functional.conv2d(images, weight, padding=1)
                seconds.append(time.perf_counter() - begin)
    except RuntimeError:
        return None
    return statistics.median(seconds) if seconds else time.perf_counter() - start


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
