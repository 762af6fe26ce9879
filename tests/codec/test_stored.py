"""Tables in a model file: what goes in comes out, and differences of bands save space."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

import isthmus
from isthmus import pretrained
from isthmus.codec.stored import ATTACHMENT, from_attachment, pack_band, to_attachment, unpack_band
from isthmus.codec.tables import Band, Tables


def same(first: Band, other: Band) -> bool:
    pairs = ((getattr(first, field.name), getattr(other, field.name)) for field in fields(Band))
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Those of the shipped model, with two bands only: one is packed by itself, one by that before."""
    attachment = isthmus.load(pretrained.path("photo-codec")).attachments[ATTACHMENT]
    result = from_attachment(attachment.facts, attachment.tensors)
    return replace(result, bands=result.bands[:2], qualities=result.qualities[:2], proof_band=0)


def test_bands_come_back_from_their_differences_and_take_less_room(tables: Tables) -> None:
    again = from_attachment(*to_attachment(tables))
    assert len(again.bands) == len(tables.bands) == 2
    assert all(same(item, other) for item, other in zip(tables.bands, again.bands, strict=True))
    first, second = tables.bands[:2]
    assert len(pack_band(second, first)) < 0.8 * len(pack_band(second))


def test_differences_may_pass_the_ends_of_their_type(tables: Tables) -> None:
    band = tables.bands[0]
    least, most = np.iinfo(np.int16).min, np.iinfo(np.int16).max
    low = replace(band, mean=np.full_like(band.mean, least), codes=np.zeros_like(band.codes))
    high = replace(band, mean=np.full_like(band.mean, most), codes=np.full_like(band.codes, 255))
    for item, other in ((low, high), (high, low)):
        result = unpack_band(pack_band(other, item), band.channels, len(band.shifts), item)
        assert same(result, other)


def test_bands_of_the_first_format_stand_by_themselves(tables: Tables) -> None:
    facts, tensors = to_attachment(tables)
    for number, band in enumerate(tables.bands):
        array = np.frombuffer(pack_band(band), np.uint8)
        tensors[f"band.{number}"] = tensors[f"band.{number}"].new_tensor(array.copy())
    old = from_attachment(facts | {"format": 1}, tensors)
    assert all(same(item, other) for item, other in zip(tables.bands, old.bands, strict=True))
