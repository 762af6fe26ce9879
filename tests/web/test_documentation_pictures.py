"""The pictures of docs/use/page.md, of the page with shipped images.

    ISTHMUS_SCREENSHOTS=docs/pictures pytest -m slow tests/web/test_documentation_pictures.py

Without ISTHMUS_SCREENSHOTS the pictures are made and thrown away. ISTHMUS_SCREENSHOT_MODEL names a model of
garments; by default one is trained for some seconds, which looks worse.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="needs the extra 'browser-test'")
pytest.importorskip("httpx2", reason="needs the extra 'browser-test'")

import isthmus
from isthmus.api.demo_images import write_demo_images

from .conftest import Served, start_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

from .test_browser import CHROMIUM, SECONDS, browser, measure, pytestmark  # noqa: F401

PICTURES = {
    "look": ("/look?model=garments&image=data:garments/{shoe}", "[data-stat=psnr]"),
    "explore": ("/explore?model=garments&folder=garments&at=1.2,-0.6,0.8", "[data-picture=decoded][src]"),
    "compress": ("/compress?image=data:photos/coffee.png&quality=30&coder=jpeg", "[data-stat=psnr-other]"),
    "repair": ("/repair?image=data:photos/noisy.png", ".sheet:not(.brush) img[src]"),
}


@pytest.fixture(scope="module")
def garments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("garments")
    data = Path(write_demo_images(folder))
    with Image.open(data / "photos" / "coffee.png") as picture:
        photo = np.asarray(picture.convert("RGB"), dtype=float)
    noisy = photo + np.random.default_rng(0).normal(0, 25, photo.shape)
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(data / "photos" / "noisy.png")
    model = os.environ.get("ISTHMUS_SCREENSHOT_MODEL")
    if model is None:
        model = os.fspath(folder / "garments.safetensors")
        isthmus.train("fashion-sample", recipe="dense", steps=60, out=model)
    with start_server(model, data, folder / "out") as server:
        yield server


@pytest.mark.parametrize("view", PICTURES)
def test_the_view_is_drawn(view: str, garments: Served, browser: Browser, tmp_path: Path) -> None:  # noqa: F811
    address, ready = PICTURES[view]
    folder = Path(os.environ.get("ISTHMUS_SCREENSHOTS", tmp_path))
    context = browser.new_context(viewport={"width": 1200, "height": 800}, locale="en-US")
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    page.goto(garments.url + "/look")
    page.wait_for_selector(".thumbs button")
    names = page.locator(".thumbs button").evaluate_all("(all) => all.map((one) => one.title)")
    shoe = next(name for name in names if re.match("garments/ankle-boot/", name)).removeprefix("garments/")
    page.goto(garments.url + address.format(shoe=shoe))
    page.wait_for_selector(ready, state="attached")
    pictures = page.locator(".sheet:not(.brush) img[src], [data-picture][src]")
    assert pictures.count() > 0
    assert measure(page, ".sheet:not(.brush) img, [data-picture]")[3] > 5
    page.wait_for_function(
        "() => [...document.images].every((one) => one.loading === 'lazy' || one.complete)"
    )
    page.wait_for_timeout(600)
    target = folder / f"page-{view}.png"
    page.screenshot(path=target)
    # Small files: the pages are drawn in few colours.
    with Image.open(target) as picture:
        assert picture.size == (1200, 800)
        small = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    small.save(target, optimize=True)
    context.close()
