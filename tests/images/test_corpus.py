"""Files of every mode, depth and layout: read as their own libraries do, and read again when written."""

from __future__ import annotations

import os

import numpy as np
from hypothesis import HealthCheck, given, settings

from isthmus.images.formats import decode, metadata, probe
from isthmus.images.opening import Content, ImageFileError
from isthmus.images.pages import encode_pages, open_pages

from .corpus import Sample, samples

EXAMPLES = int(os.environ.get("ISTHMUS_CORPUS_EXAMPLES", "1000"))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=EXAMPLES == 1000,
)
@given(samples())
def test_what_is_read_is_what_the_format_says_and_is_written_again(sample: Sample) -> None:
    source = Content(sample.content, sample.name)
    header = probe(source)
    if sample.expected is None:
        try:
            decode(source, alpha="keep")
        except ImageFileError as error:
            assert "0..65535" in error.message or "[0, 1]" in error.message, sample.what
        return
    pixels = decode(source, alpha="keep")
    assert pixels.shape == sample.expected.shape, sample.what
    assert pixels.dtype == sample.expected.dtype == header.dtype, sample.what
    assert np.array_equal(pixels, sample.expected), sample.what
    assert pixels.shape[:2] == (header.height, header.width), sample.what
    assert pixels.shape[2] == header.channels + header.transparent, sample.what
    with open_pages(source, max_pixels=10_000) as reader:
        pages = [reader.read(index) for index in range(reader.count)]
    assert header.several == (len(pages) > 1)
    for page, expected in zip(pages, sample.pages or (sample.expected,), strict=True):
        assert np.array_equal(page, expected), sample.what
    exif, _ = metadata(source)
    assert exif is None or b"\x01\x12\x00\x03" not in exif, sample.what
    for name in ("b.tif", "b.png"):
        if name == "b.png" and (pixels.dtype == np.float32 or len(pages) > 1):
            continue
        from isthmus.images.metadata import read_metadata

        written = encode_pages(name, pages, metadata=read_metadata(source), timing=None)
        with open_pages(Content(written, name), max_pixels=10_000) as again:
            assert again.count == len(pages), sample.what
            for index, page in enumerate(pages):
                assert np.array_equal(again.read(index), page), (name, sample.what)
