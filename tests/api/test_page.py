"""The page's use: one answer from Python and from the shell. What the page does is tested in tests/web/."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest

import isthmus

from .parity import Parity

MODEL = "photos.safetensors"
NOW = ("--port", "0", "--minutes", "0")
PARITY = {
    "serve": Parity(["serve", *NOW], lambda: isthmus.serve(port=0, minutes=0)),
    "serve, all options": Parity(
        [
            *("serve", MODEL, "photo-codec", "--data", "photos", "--out", "models", *NOW),
            *("--host", "localhost", "--token", "secret-of-eight", "--max-megabytes", "3"),
            *("--max-megapixels", "1.5"),
        ],
        lambda: isthmus.serve(
            [MODEL, "photo-codec"],
            data="photos",
            out="models",
            host="localhost",
            port=0,
            token="secret-of-eight",
            max_megabytes=3,
            max_megapixels=1.5,
            minutes=0,
        ),
    ),
}
if find_spec("fastapi") is None:
    PARITY = {}


def test_a_page_without_the_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(isthmus.MissingExtraError) as caught:
        isthmus.serve(port=0, minutes=0)
    assert caught.value.fields["extra"] == "web"
