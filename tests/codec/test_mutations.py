"""A few thousand of the mutations of benchmarks/fuzz.py, which is run by hand for more."""

from __future__ import annotations

from types import ModuleType

import pytest
from scripts import load_script

from isthmus.codec.ready import Codec

from .conftest import GOLDEN


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    return load_script("benchmarks/fuzz.py")


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    results = [path.read_bytes() for path in sorted(GOLDEN.glob("*.isth"))]
    assert len(results) == 8
    return results


def test_the_mutations_leave_files_whole_enough_to_be_read(fuzz: ModuleType, files: list[bytes]) -> None:
    for data in files:
        assert fuzz.put_together(*fuzz.taken_apart(data)) == data


def test_hostile_files_meet_the_parser_and_the_entropy_decoder(
    fuzz: ModuleType, files: list[bytes], codec: Codec
) -> None:
    ends, _ = fuzz.run(fuzz.parse, files, codec, 2000, seed=1)
    assert min(ends["refused"], ends["decoded"]) > 200


def test_hostile_files_meet_the_whole_decoder(fuzz: ModuleType, files: list[bytes], codec: Codec) -> None:
    ends, _ = fuzz.run(fuzz.decode, files, codec, 40, seed=2)
    assert min(ends["refused"], ends["decoded"]) > 5
