"""The machine as this process may use it: cores, processor, free space, and how fast it convolves."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def usable_cores() -> int:
    """Cores that this process may use: affinity and CPU quotas of its control groups, at least 1.

    A container's quota often allows fewer cores than the machine has; a fraction of a core counts as one.
    """
    if sys.platform != "linux":
        return os.cpu_count() or 1
    cores = len(os.sched_getaffinity(0))
    quota = _own_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


@cache
def _own_quota() -> float | None:
    return cpu_quota()


def cpu_quota(process: Path = Path("/proc/self")) -> float | None:
    """CPU seconds per second that the process's control groups grant; None where nothing limits them.

    The smallest quota among the group and all groups that contain it holds: `cpu.max` of version 2 and
    `cpu.cfs_quota_us` of version 1 (Linux, Documentation/admin-guide/cgroup-v2.rst and
    Documentation/scheduler/sched-bwc.rst).

    Args:
        process: folder of the process with its files `cgroup` and `mountinfo`.
    """
    quotas = [quota for folder in _group_folders(process) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _group_folders(process: Path) -> Iterator[Path]:
    """The folders of the process's CPU groups, each followed by those of the groups that contain it."""
    groups: dict[str, PurePosixPath] = {}  # by the type of the mount that shows them
    for line in _read(process / "cgroup").splitlines():
        number, _, right_part = line.partition(":")
        controllers, _, path = right_part.partition(":")
        if number == "0" and not controllers:
            groups["cgroup2"] = PurePosixPath(path)
        elif "cpu" in controllers.split(","):
            groups["cgroup"] = PurePosixPath(path)
    for line in _read(process / "mountinfo").splitlines():
        # proc(5): id parent device root mount-point options [optional fields] - type source super-options
        before, separator, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if not separator or len(fields) < 5 or len(kinds) < 3 or kinds[0] not in groups:
            continue
        if kinds[0] == "cgroup" and "cpu" not in kinds[2].split(","):
            continue
        root, mounted = PurePosixPath(_unescaped(fields[3])), Path(_unescaped(fields[4]))
        group = groups[kinds[0]]
        # Inside a container the group's path may be the host's, which is not visible here: then the mount
        # itself is the container's group.
        inner = group.relative_to(root) if group.is_relative_to(root) else PurePosixPath()
        if ".." in inner.parts:
            inner = PurePosixPath()
        yield mounted / inner
        yield from (mounted / parent for parent in inner.parents)


def _quota(folder: Path) -> float | None:
    unified = _read(folder / "cpu.max").split()
    quota, period = unified if len(unified) == 2 else (
        _read(folder / "cpu.cfs_quota_us").strip(),
        _read(folder / "cpu.cfs_period_us").strip(),
    )  # fmt: skip
    try:
        value = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None  # "max", or no such files
    return value if value > 0 else None  # version 1 writes -1 for no limit


def _unescaped(text: str) -> str:
    return text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def processor_name() -> str:
    """The processor's name as its maker writes it, or the architecture where the system does not give one."""
    import platform
    import subprocess  # not at the top: every command imports this module

    if sys.platform == "linux":
        for line in _read(Path("/proc/cpuinfo")).splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model", "Hardware") and value.strip():
                return value.strip()
    elif sys.platform == "darwin":
        try:
            answer = subprocess.run(
                ["sysctl", "-n", "machdep.cpu.brand_string"],
                capture_output=True,
                text=True,
                check=True,
                timeout=5,
            )
            return answer.stdout.strip()
        except (OSError, subprocess.SubprocessError):
            pass
    return platform.processor() or platform.machine()


def free_bytes(folder: Path) -> int | None:
    """Free space on the disk where `folder` is or would be made; None if that is not known."""
    import shutil

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
        limit: stop measuring after this many seconds; a machine that emulates the type needs long for each.

    Returns:
        The median, or None where torch cannot convolve in this type.
    """
    import statistics
    import time

    import torch

    dtype = getattr(torch, dtype_name)
    weight = torch.ones(64, 64, 3, 3, dtype=dtype).to(memory_format=torch.channels_last)
    images = torch.ones(8, 64, 32, 32, dtype=dtype).to(memory_format=torch.channels_last)
    seconds: list[float] = []
    start = time.perf_counter()
    try:
        with torch.inference_mode():
            # The first pass chooses and prepares a kernel; its time differs from that of the others.
            torch.nn.functional.conv2d(images, weight, padding=1)
            while len(seconds) < 100 and time.perf_counter() - start < limit:
                begin = time.perf_counter()
                torch.nn.functional.conv2d(images, weight, padding=1)
                seconds.append(time.perf_counter() - begin)
    except RuntimeError:
        return None
    return statistics.median(seconds) if seconds else time.perf_counter() - start


def best_device() -> torch.device:
    """CUDA where there is one, then Apple's MPS, else the CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps") if torch.backends.mps.is_available() else torch.device("cpu")


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions that multiply bfloat16; without them it is many times slower.

    It is read from the processor's flags and not measured, so that a seed gives the same weights on a busy
    machine as on an idle one.
    """
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not torch.backends.mkldnn.enabled:
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
