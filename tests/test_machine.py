"""Cores that a process may use: quotas of its control groups, in the files that Linux shows them in."""

from __future__ import annotations

from pathlib import Path

import pytest

from isthmus.machine import cpu_quota, usable_cores


def process(
    folder: Path, groups: str, mounts: list[tuple[str, str, str, str]], files: dict[str, str]
) -> Path:
    """A process's folder: its `cgroup`, mounts as (root, place, type, super options), files under places."""
    own = folder / "self"
    own.mkdir()
    (own / "cgroup").write_text(groups)
    (own / "mountinfo").write_text(
        "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
        + "".join(
            f"30 21 0:26 {root} {folder / place} rw,nosuid shared:4 - {kind} {kind} {options}\n"
            for root, place, kind, options in mounts
        )
    )
    for name, text in files.items():
        path = folder / name.replace("\\040", " ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return own


UNIFIED = [("/", "cg", "cgroup2", "rw,nsdelegate")]
SPLIT = [("/", "cpu", "cgroup", "rw,cpu,cpuacct"), ("/", "mem", "cgroup", "rw,memory")]


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "quota"),
    [
        ("0::/\n", UNIFIED, {"cg/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", UNIFIED, {"cg/cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", UNIFIED, {"cg/a/b/cpu.max": "max 100000\n", "cg/a/cpu.max": "200000 100000\n"}, 2.0),
        ("0::/a/b\n", UNIFIED, {"cg/a/b/cpu.max": "50000 100000\n", "cg/a/cpu.max": "200000 100000\n"}, 0.5),
        # A container sees its own group only; its path is that of the host.
        ("0::/d/1\n", [("/d/1", "cg", "cgroup2", "rw")], {"cg/cpu.max": "300000 100000"}, 3.0),
        ("0::/d/1\n", [("/x", "cg", "cgroup2", "rw")], {"cg/cpu.max": "300000 100000"}, 3.0),
        ("0::/../s\n", UNIFIED, {"cg/cpu.max": "300000 100000", "s/cpu.max": "1000 100000"}, 3.0),
        (
            "4:memory:/m\n3:cpu,cpuacct:/c\n",
            SPLIT,
            {"cpu/c/cpu.cfs_quota_us": "250000\n", "cpu/c/cpu.cfs_period_us": "100000\n"},
            2.5,
        ),
        (
            "3:cpu,cpuacct:/c\n",
            SPLIT,
            {"cpu/c/cpu.cfs_quota_us": "-1\n", "cpu/c/cpu.cfs_period_us": "100000\n"},
            None,
        ),
        # Both versions at once: only the first has the CPU controller.
        (
            "3:cpu,cpuacct:/\n0::/u\n",
            [*SPLIT, ("/", "cg", "cgroup2", "rw")],
            {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "50000\n"},
            2.0,
        ),
        ("0::/\n", [("/", "a\\040b", "cgroup2", "rw")], {"a\\040b/cpu.max": "400000 100000"}, 4.0),
        ("3:cpuset:/\n", SPLIT, {"cpu/cpu.cfs_quota_us": "1", "cpu/cpu.cfs_period_us": "1"}, None),
        ("nonsense\n", UNIFIED, {"cg/cpu.max": "many few\n"}, None),
        ("0::/\n", UNIFIED, {"cg/cpu.max": "100000 0\n"}, None),
    ],
)  # fmt: skip
def test_the_smallest_quota_of_all_groups_holds(
    groups: str,
    mounts: list[tuple[str, str, str, str]],
    files: dict[str, str],
    quota: float | None,
    tmp_path: Path,
) -> None:
    assert cpu_quota(process(tmp_path, groups, mounts, files)) == quota


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


def test_at_least_one_core_is_usable() -> None:
    assert usable_cores() >= 1
