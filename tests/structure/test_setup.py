"""Fresh-machine set-up: the two commands, the tested releases and the extras agree with each other."""

import re
import tomllib
from pathlib import Path

from isthmus.commands.doctor import EXTRAS

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


def test_set_up_is_two_commands() -> None:
    section = (ROOT / "README.md").read_text("utf-8").partition("\n## Set up\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    assert [len(block.splitlines()) for block in blocks] == [1, 1]
