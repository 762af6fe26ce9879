from __future__ import annotations

import base64
import io
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from isthmus.errors import DataError, OutputError
from isthmus.reports import charts, image_sheets
from isthmus.reports.page import Report


class Page(HTMLParser):
    """What a browser would make of a page: its elements with attributes, its text, and whether it nests."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    image.load()
    return image


# What XML and HTML parsers keep as it is: no control characters, no surrogates.
words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)


@given(words, words, words)
@settings(max_examples=40, deadline=None)
def test_any_text_is_shown_and_never_obeyed(title: str, section: str, content: str) -> None:
    content = f"{content}<script>alert('&amp;\"')</script>"
    report = Report(title, subtitle=content)
    report.text(section, content)
    report.table(section, [content, "b"], [[content, 1]], note=content)
    report.facts(section, {content: content})
    report.picture(section, image_sheets.draw_image_rows([("x", np.zeros((1, 2, 2)))]), content, alt=content)
    page = Page(report.html())
    assert page.open == [] and not page.all("script")
    assert "".join(page.words).count(content) == 8
    assert page.all("img")[0]["alt"] == content


def test_nothing_is_fetched_and_everything_linked_is_there() -> None:
    report = Report("t")
    report.text("One", "first\n\nsecond")
    report.picture("Two", charts.draw_bars({"a": 1.0}), "bars", alt="one bar")
    html = report.html()
    page = Page(html)
    addresses = [a[key] or "" for _, a in page.elements for key in ("src", "href") if key in a]
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
    assert not re.search(r"url\(|@import|https?:", html)
    ids = {a["id"] for a in page.all("section")}
    assert {(a["href"] or "")[1:] for a in page.all("a")} == ids and len(ids) == 2
    assert len([1 for tag, a in page.elements if tag == "p" and not a]) == 2


def test_pictures_arrive_unchanged_and_at_their_own_size() -> None:
    png = image_sheets.draw_image_rows([("row", np.zeros((3, 28, 28)))])
    report = Report("t")
    report.picture("s", png, "c", alt="a")
    image = Page(report.html()).all("img")[0]
    assert base64.b64decode((image["src"] or "").partition(",")[2]) == png
    width, height = opened(png).size
    assert abs(int(image["width"] or 0) * 2 - width) <= 1 and abs(int(image["height"] or 0) * 2 - height) <= 1
    with pytest.raises(DataError):
        report.picture("s", b"GIF89a", "c", alt="a")


def test_sections_keep_the_order_in_which_they_came() -> None:
    report = Report("t")
    for section in ("Zeta", "Alpha", "Zeta", "Mid"):
        report.text(section, "x")
    shown = re.findall(r"<h2>(.*?)</h2>", report.html())
    assert shown == ["Zeta", "Alpha", "Mid"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.123456, "0.1235"),
        (24.0, "24.00"),
        (1234567, "1,234,567"),
        (-0.5, "−0.5000"),
        (math.inf, "∞"),
        (math.nan, "–"),
        (None, "–"),
        (True, "yes"),
        (1.5e-7, "1.500e−07"),
        (1234.0, "1234"),
        (54321.0, "54,321"),
        ("as-is", "as-is"),
    ],
)
def test_values_are_written_for_people(value: str | float | None, shown: str) -> None:
    report = Report("t")
    report.facts("s", {"name": value})
    assert f"<dd>{shown}</dd>" in report.html()


def test_numbers_are_set_right_and_rows_are_named() -> None:
    report = Report("t")
    report.table("s", ["name", "value"], [["a", 1.0], ["b", None]])
    page = Page(report.html())
    assert [a.get("class") for a in page.all("td")] == ["number", "number"]
    assert [a.get("scope") for a in page.all("th")] == ["col", "col", "row", "row"]
    with pytest.raises(DataError):
        report.table("s", ["name", "value"], [["a"]])


def test_written_whole_and_not_over_another_file_unless_told(tmp_path: Path) -> None:
    report = Report("Grüße")
    path = tmp_path / "new" / "report.html"
    report.write(path)
    assert path.read_text(encoding="utf-8") == report.html()
    with pytest.raises(OutputError):
        Report("other").write(path, force=False)
    assert "Grüße" in path.read_text(encoding="utf-8")


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([None, 1, 3]), st.booleans())
@settings(max_examples=25, deadline=None)
def test_small_images_are_enlarged_exactly(h: int, w: int, channels: int | None, is_integer: bool) -> None:
    shape = (2, h, w) if channels is None else (2, h, w, channels)
    images = np.random.default_rng(h * w).integers(0, 256, shape, dtype=np.uint8)
    sheet = np.asarray(opened(image_sheets.draw_image_rows([("t", images if is_integer else images / 255)])))
    factor = math.ceil(image_sheets.MIN_CELL_PX / max(h, w))
    shown = sheet[-1 - h * factor : -1, 1 : 1 + w * factor, :3]
    expected = np.broadcast_to(images[0].reshape(h, w, -1), (h, w, 3))
    assert np.array_equal(shown, expected.repeat(factor, 0).repeat(factor, 1))


@pytest.mark.parametrize("channels", [2, 7])
def test_images_of_other_channel_counts_are_shown_as_their_mean(channels: int) -> None:
    sheet = np.asarray(opened(image_sheets.draw_image_rows([("", np.full((1, 9, 9, channels), 0.4))])))
    assert (sheet[-20:-1, 1:20, :3] == 102).all()


def test_large_images_are_shrunk_and_columns_limited() -> None:
    sheet = opened(image_sheets.draw_image_rows([("t", np.zeros((1, 900, 1800)))]))
    assert sheet.width <= image_sheets.MAX_CELL_PX + 2
    rows = [("t", np.zeros((50, 8, 8)))]
    assert (
        opened(image_sheets.draw_image_rows(rows, columns=3)).width
        < opened(image_sheets.draw_image_rows(rows)).width
    )
    for bad in ([], [("t", np.zeros((4, 4)))], [("t", np.zeros((0, 4, 4)))]):
        with pytest.raises(DataError):
            image_sheets.draw_image_rows(bad)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: charts.draw_curves(
            {"_x $a_b$": [(0, 1.0), (1, math.nan), (2, 0.0), (3, 0.5)], "犬": []}, log=True
        ),
        lambda: charts.draw_curves({}),
        lambda: charts.draw_bars({"$x": math.inf, "_": -2.0, "犬": math.nan}, label="$y", highlight="_"),
        lambda: charts.draw_bars({}),
        lambda: charts.draw_histogram({"_a$": np.full((3, 3), 2.0), "b": [math.nan], "c": []}, x_label="$"),
    ],
)
def test_charts_survive_awkward_names_and_numbers(draw: object) -> None:
    assert callable(draw)
    image = opened(draw())
    assert image.mode == "RGBA" and image.info["dpi"][0] == pytest.approx(charts.DPI, abs=0.1)
    # Ink on a transparent ground.
    assert image.getchannel("A").getextrema() == (0, 255)


def test_charts_leave_no_figures_behind() -> None:
    import matplotlib.pyplot as plt

    charts.draw_curves({"a": [(0, 1.0), (1, 2.0)]})
    charts.draw_histogram({"a": [1.0, 2.0]})
    assert plt.get_fignums() == []


def test_a_higher_bar_has_more_ink() -> None:
    def ink(value: float) -> int:
        pixels = np.asarray(opened(charts.draw_bars({"a": value, "b": 10.0})))
        return int((pixels[..., 2].astype(int) - pixels[..., 0] > 120).sum())

    assert ink(10.0) > ink(5.0) > ink(0.0) > 0


def test_sixteen_bits_look_like_eight() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 1), dtype=np.uint8)
    wide = images.astype(np.uint16) * 257
    assert image_sheets.draw_image_rows([("t", wide)]) == image_sheets.draw_image_rows([("t", images)])
