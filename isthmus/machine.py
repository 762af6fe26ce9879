"""The machine as this process may use it: its cores, within affinity and a container's CPU quota."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath


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
    found = [quota for folder in _group_folders(process) if (quota := _quota(folder)) is not None]
    return min(found, default=None)


def _group_folders(process: Path) -> Iterator[Path]:
    """The folders of the process's CPU groups, each followed by those of the groups that contain it."""
    groups: dict[str, PurePosixPath] = {}  # by the type of the mount that shows them
    for line in _read(process / "cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
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
