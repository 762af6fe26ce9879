"""`isthmus.explain`: one answer from both interfaces, and the arrays that are saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.errors import UsageError

from .parity import Parity

MODEL = "photos.safetensors"
IMAGE = "photos/left/1.png"
PARITY = {
    "explain": Parity(["explain", MODEL, IMAGE], lambda: isthmus.explain(MODEL, IMAGE)),
    "explain, all options": Parity(
        [
            *("explain", MODEL, "photos", "--reference", "photos/left", "--units", "1,0", "--seed", "2"),
            *("-o", "units.html", "-o", "units.npz"),
        ],
        lambda: isthmus.explain(MODEL, "photos", reference="photos/left", units=[1, 0], seed=2),
    ),
}


@pytest.mark.usefixtures("here")
def test_what_is_saved_is_what_was_found(tmp_path: Path) -> None:
    result = isthmus.explain(MODEL, "photos", units=2)
    assert any("the first, left/1.png, is explained" in note for note in result.notes)
    saved = np.load(result.save(tmp_path / "a.npz"))
    np.testing.assert_array_equal(saved["gradient_maps"], result.maps["gradient"])
    assert saved["units"].tolist() == [unit.unit for unit in result.units]
    assert result.traversals.shape[:2] == (2, 5)


@pytest.mark.usefixtures("here")
def test_a_number_of_units_is_at_least_one() -> None:
    with pytest.raises(UsageError, match="units=0"):
        isthmus.explain(MODEL, IMAGE, units=0)


@pytest.mark.usefixtures("here")
def test_the_old_keyword_still_works() -> None:
    with pytest.warns(DeprecationWarning, match="data= is now reference="):
        result = isthmus.explain(MODEL, IMAGE, data="photos/left", units=1)  # type: ignore[call-arg]
    assert (result.reference, result.data) == ("reference", "photos/left")
