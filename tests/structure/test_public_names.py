"""The public face is written from one table, and no name hides a module."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules, walk_packages

import isthmus
from isthmus.public_names import HOMES, face


def test_the_face_is_what_the_table_says() -> None:
    own = Path(isthmus.__file__).read_text("utf-8")
    assert own == face(), "run: python isthmus/public_names.py"


def test_every_public_name_is_there() -> None:
    assert {name for name in isthmus.__all__ if getattr(isthmus, name, None) is None} == set()
    assert set(isthmus.__all__) == set(HOMES)


def test_no_name_of_a_package_is_also_one_of_its_modules() -> None:
    packages = ["isthmus", *(m.name for m in walk_packages(isthmus.__path__, "isthmus.") if m.ispkg)]
    twice = {}
    for package in packages:
        module = import_module(package)
        modules = {item.name for item in iter_modules(module.__path__)}
        twice[package] = modules & set(getattr(module, "__all__", ()))
    assert {package: names for package, names in twice.items() if names} == {}


def test_every_public_name_is_on_the_reference_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text("utf-8")
    listed = re.findall(r"^::: isthmus\.(\w+)$", page, re.MULTILINE)
    assert sorted(listed) == sorted(set(HOMES) - {"__version__"})
