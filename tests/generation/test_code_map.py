"""The map keeps what is alike together, and its page is whole by itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.errors import DataError, OutputError, UsageError
from isthmus.images.store import ImageSet

from .models import discs, fresh

METHODS = ["tsne", "pca"]


@pytest.mark.parametrize("method", METHODS)
def test_images_of_a_class_lie_together(method: Any) -> None:
    images = discs(80)
    code_map = isthmus.code_map(fresh(), images, method=method)
    assert code_map.points.shape == (80, 2)
    assert code_map.points.min() == 0
    assert code_map.points.max() == 1
    apart = np.linalg.norm(code_map.points[:, None] - code_map.points[None], axis=2) + 9 * np.eye(80)
    assert images.labels is not None
    assert (images.labels[apart.argmin(1)] == images.labels).mean() > 0.9


@pytest.mark.parametrize("method", METHODS)
def test_images_that_are_all_alike_lie_on_one_spot(method: Any) -> None:
    code_map = isthmus.code_map(fresh(), np.repeat(discs(1).stack([0]), 12, 0), method=method)
    assert np.array_equal(code_map.points, np.zeros((12, 2)))


def test_the_page_holds_everything_and_fetches_nothing(tmp_path: Path) -> None:
    images = discs(20)
    strange = ImageSet(
        images.pixels, ("</script><b>x</b>", *images.names[1:]), images.labels, images.classes, "<i>codes</i>"
    )
    code_map = isthmus.code_map(fresh(), strange, method="pca", limit=15)
    assert (code_map.images, code_map.given) == (15, 20)
    assert code_map.explained is not None
    assert 0.5 < code_map.explained <= 1
    code_map.save(tmp_path / "map.html")
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
        code_map.save(tmp_path / "map.html")


def test_what_makes_no_map_is_said() -> None:
    with pytest.raises(UsageError, match="method 'umap'"):
        isthmus.code_map(fresh(), discs(10), method="umap")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="at least 3 images"):
        isthmus.code_map(fresh(), discs(2))
