"""The map keeps what is alike together, and its page is whole by itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from isthmus.errors import DataError, OutputError, UsageError
from isthmus.generation.code_map import METHODS, code_map
from isthmus.images.store import ImageSet

from .models import discs, fresh


@pytest.mark.parametrize("method", METHODS)
def test_images_of_a_class_lie_together(method: str) -> None:
    images = discs(80)
    found = code_map(fresh(), images, method=method)
    assert found.places.shape == (80, 2)
    assert found.places.min() == 0
    assert found.places.max() == 1
    apart = np.linalg.norm(found.places[:, None] - found.places[None], axis=2) + 9 * np.eye(80)
    assert images.labels is not None
    assert (images.labels[apart.argmin(1)] == images.labels).mean() > 0.9


@pytest.mark.parametrize("method", METHODS)
def test_images_that_are_all_alike_lie_on_one_spot(method: str) -> None:
    found = code_map(fresh(), np.repeat(discs(1).stack([0]), 12, 0), method=method)
    assert np.array_equal(found.places, np.zeros((12, 2)))


def test_the_page_holds_everything_and_fetches_nothing(tmp_path: Path) -> None:
    images = discs(20)
    strange = ImageSet(images.pixels, ("</script><b>x</b>", *images.names[1:]), images.labels, images.classes)
    found = code_map(fresh(), strange, method="pca", limit=15)
    assert found.explained is not None
    assert 0.5 < found.explained <= 1
    found.write(tmp_path / "map.html", title="<i>codes</i>")
    page = (tmp_path / "map.html").read_text("utf-8")
    assert "{{" not in page
    assert not re.findall(r"(?:src|href)=[\"']?https?:", page)
    assert "<b>x</b>" not in page.replace("<\\/script><b>x<\\/b>", "")
    assert "<i>codes</i>" not in page
    block = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert block is not None
    data = json.loads(block[1])
    assert len(data["places"]) == len(data["names"]) == len(data["labels"]) == 15
    assert data["names"][0] == "</script><b>x</b>"
    with pytest.raises(OutputError, match="exists"):
        found.write(tmp_path / "map.html", force=False)


def test_what_makes_no_map_is_said() -> None:
    with pytest.raises(UsageError, match="method 'umap'"):
        code_map(fresh(), discs(10), method="umap")
    with pytest.raises(DataError, match="at least 3 images"):
        code_map(fresh(), discs(2))
