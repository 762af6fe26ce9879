"""Fresh-machine set-up: the two commands, the tested releases and the extras agree with each other."""

import re
import tomllib
from pathlib import Path

from isthmus.api.machine_report import EXTRAS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")


def normal(requirement: str) -> str:
    """A distribution's name as registries compare it (PEP 503)."""
    name = REQUIREMENT.match(requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def test_every_direct_dependency_has_a_tested_release() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    tested = [normal(line) for line in lines if line and not line.startswith("#")]
    assert len(tested) == len(set(tested))
    needed = {normal(line) for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]}
    assert needed <= set(tested)


def test_tested_releases_are_exact() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    loose = [
        line
        for line in lines
        if line and not line.startswith("#") and not re.fullmatch(r"[\w.-]+==[\w.]+", line)
    ]
    assert loose == []


def test_doctor_knows_every_extra() -> None:
    assert set(EXTRAS) == set(PROJECT["optional-dependencies"])


def set_up_section() -> str:
    return (ROOT / "README.md").read_text("utf-8").partition("\n## Set up\n")[2].partition("\n## ")[0]


def test_set_up_is_two_commands_that_make_their_virtual_environment() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", set_up_section(), flags=re.MULTILINE | re.DOTALL)
    assert [len(block.splitlines()) for block in blocks] == [1, 1]
    for block in blocks:
        # `.` and not `source`: sh on Debian is dash.
        assert block.startswith(
            "python3 -m venv .venv && . .venv/bin/activate && pip install -c constraints.txt "
        )


def test_set_up_names_what_a_fresh_system_lacks() -> None:
    section = set_up_section()
    assert "apt install python3-venv" in section
    assert f"torch=={pinned('torch')} --index-url https://download.pytorch.org/whl/cpu" in section
    minimum = PROJECT["requires-python"].removeprefix(">=")
    assert f"Python {minimum} or newer" in section


def pinned(name: str) -> str:
    """The tested release of a distribution."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    (release,) = [line.partition("==")[2] for line in lines if line.startswith(f"{name}==")]
    return release
