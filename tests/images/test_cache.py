"""Memory limits and the place of a named set, as the platform and the environment give them."""

from pathlib import Path

import pytest

from isthmus.errors import UsageError
from isthmus.images import cache, named
from isthmus.images.cache import known_memory_bytes, memory_bytes
from isthmus.images.named import where
from isthmus.images.reading import read


@pytest.mark.parametrize(("text", "counts"), [("1048576\n", True), ("max\n", False), ("9" * 30, False)])
def test_a_container_may_hold_less_than_the_machine(
    text: str, counts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The limits of this machine's own container lie at fixed paths, which no public name can move.
    monkeypatch.setattr(cache, "_CONTAINER_LIMITS", ())
    memory = known_memory_bytes()
    limit = tmp_path / "limit"
    limit.write_text(text)
    monkeypatch.setattr(cache, "_CONTAINER_LIMITS", (str(limit), str(tmp_path / "missing")))
    assert known_memory_bytes() == (1048576 if counts and memory else memory)
    assert memory_bytes() > 0


def test_a_named_set_is_read_from_where_it_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path))
    monkeypatch.setattr(named, "SYSTEM_FOLDER", tmp_path / "system")
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    assert where("mnist") is None
    assert where("mnist:test") is None
    folder = where("fashion-sample:test")
    assert folder is not None
    for file in folder.glob("t10k*"):
        target = tmp_path / "cache" / "mnist" / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    assert where("mnist:test") == where("mnist") == tmp_path / "cache" / "mnist"
    assert where("mnist:train") is None
    assert len(read("mnist:test")) == len(read("fashion-sample:test"))


def test_an_unknown_set_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'mnist'"):
        where("mnits")


def test_the_usual_folder_is_where_pooch_would_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pooch = pytest.importorskip("pooch")
    monkeypatch.delenv("ISTHMUS_CACHE", raising=False)
    assert cache.cache_folder() == pooch.os_cache("isthmus")
