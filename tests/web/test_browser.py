"""The page in a real browser: each view does its job, with real pixels, on a desktop and on a phone.

Debian's `chromium` is driven by Playwright; where one of them is absent these tests are skipped. With
ISTHMUS_SCREENSHOTS=FOLDER they write the pictures of docs/use/page.md there.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'browser-test'")
pytest.importorskip("httpx2", reason="needs the extra 'browser-test'")

import isthmus

from .conftest import Served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytest.importorskip("playwright", reason="needs the extra 'browser-test'")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None and "ISTHMUS_NEED_BROWSER" not in os.environ, reason="chromium is not installed"
    ),
]
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
SIZES = {"desktop": (1280, 860), "phone": (390, 844)}
LANGUAGES = ("en", "zh")
SECONDS = 90_000  # milliseconds that a slow machine may take
SHAPE = "data:shapes/bars/03.png"
PHOTO = "data:photos/noisy.png"
# The colours of a picture in the page as (width, height, mean, standard deviation, red minus blue).
_MEASURE = """async (image) => {
    await image.decode();
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
    let [sum, square, warm, count] = [0, 0, 0, 0];
    for (let at = 0; at < data.length; at += 4) {
        sum += data[at + 1]; square += data[at + 1] ** 2; count += 1;
        warm = Math.max(warm, data[at] - data[at + 2]);
    }
    const mean = sum / count;
    return [canvas.width, canvas.height, mean, Math.sqrt(Math.max(0, square / count - mean * mean)), warm];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(params=[(size, language) for size in SIZES for language in LANGUAGES], ids="-".join)
def opened(request: Any, browser: Browser, served: Served) -> Iterator[Callable[[str], Page]]:
    """Opens an address of the page; nothing may go wrong in it, and nothing be asked of another server."""
    size, language = request.param
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale={"en": "en-US", "zh": "zh-CN"}[language]
    )
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on(
        "request",
        lambda asked: None if asked.url.startswith((served.url, "blob:")) else faults.append(asked.url),
    )

    def open_page(address: str) -> Page:
        page.goto(served.url + address)
        page.wait_for_selector("#stage[data-view]")
        return page

    yield open_page
    assert faults == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out to the side"
    text = page.inner_text("body")
    assert not re.search(r"\b(look|explore|compress|repair|find|train|compare|model)\.[a-z-]+\b", text)
    assert bool(re.search(r"[\u4e00-\u9fff]{2}", page.inner_text("h1"))) is (language == "zh")
    save_screenshot(page, request.node.name, size, language)
    context.close()


def save_screenshot(page: Page, test: str, size: str, language: str) -> None:
    folder = os.environ.get("ISTHMUS_SCREENSHOTS")
    view = re.match(r"test_(\w+?)_shows", test)
    if folder and view:
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=Path(folder, f"{view[1]}-{size}-{language}.png"))


def measure(page: Page, selector: str) -> list[float]:
    """See `_MEASURE`, of the picture at a selector once it is there."""
    page.wait_for_selector(f"{selector}[src]", state="attached")
    result: list[float] = page.eval_on_selector(selector, _MEASURE)
    return result


def stat(page: Page, key: str) -> float:
    shown = page.locator(f"[data-stat={key}]", has_text=re.compile(r"\d"))
    shown.wait_for()  # a dash until the first event
    number = re.search(r"[\d.]+", shown.inner_text())
    assert number is not None
    return float(number[0])


def set_slider(page: Page, index: int, value: float) -> None:
    """Move the slider of the view that stands at this place."""
    page.locator(".view input[type=range]").nth(index).evaluate(
        """(input, value) => {
            input.value = value;
            input.dispatchEvent(new Event('input', {bubbles: true}));
        }""",
        value,
    )


def test_look_shows_before_and_after(opened: Callable[[str], Page]) -> None:
    page = opened(f"/look?model=shapes&image={SHAPE}")
    assert measure(page, ".sheet img:nth-of-type(1)")[:2] == [24, 24]
    before, after = (measure(page, f".sheet img:nth-of-type({number})") for number in (2, 1))
    assert before[3] > 20 and after[3] > 5 and before != after
    assert stat(page, "psnr") > 5
    assert page.eval_on_selector("canvas.bars", "(one) => one.width") > 100
    # The edge follows the slider and the keyboard.
    edge = page.locator(".compare input[type=range]")
    edge.focus()
    page.keyboard.press("Home")
    assert page.eval_on_selector(".edge", "(one) => one.style.left") == "0%"
    page.keyboard.press("End")
    assert (
        page.eval_on_selector(".sheet img:nth-of-type(2)", "(one) => one.style.clipPath")
        == "inset(0px 0% 0px 0px)"
    )
    set_slider(page, 0, 50)
    page.locator(".segments button[data-value='4']").click()
    assert page.eval_on_selector(".sheet", "(one) => one.clientWidth") == 96
    page.locator(".segments button[data-value='fit']").click()
    page.locator(".segments button[data-value=difference]").click()
    assert "show=difference" in page.url
    assert measure(page, ".sheet img:nth-of-type(1)") != after
    page.locator(".segments button[data-value=after]").click()


def test_look_takes_a_file_that_is_dropped(opened: Callable[[str], Page], data: Path) -> None:
    page = opened("/look?model=shapes")
    page.set_input_files("input[type=file]", data / "photos" / "noisy.png")
    page.wait_for_selector("[data-stat=psnr]")
    assert measure(page, ".sheet img:nth-of-type(2)")[:2] == [24, 24]
    shared = page.url
    assert "image=" in shared


def test_compress_shows_bytes_that_follow_the_slider(opened: Callable[[str], Page]) -> None:
    page = opened(f"/compress?image={PHOTO}&quality=80&coder=webp")
    page.wait_for_selector("[data-stat=psnr-other]")
    large = stat(page, "bytes")
    own, other = (measure(page, f".sheet img:nth-of-type({number})") for number in (2, 1))
    assert own[:2] == other[:2] == [128, 96] and own != other
    set_slider(page, 0, 10)
    page.wait_for_function(
        "([text]) => document.querySelector('[data-stat=bytes]').textContent !== text",
        arg=[page.inner_text("[data-stat=bytes]")],
    )
    page.wait_for_url("**quality=10*")
    assert stat(page, "bytes") < large or "kB" not in page.inner_text("[data-stat=bytes]")
    with page.expect_download() as saved:
        page.locator("a.button.main").click()
    assert saved.value.suggested_filename.endswith(".isth")
    page.set_input_files("input[accept='.isth']", saved.value.path())
    page.wait_for_selector("[data-stat=size]")


def test_repair_shows_the_picture_without_noise(opened: Callable[[str], Page]) -> None:
    page = opened(f"/repair?image={PHOTO}")
    page.wait_for_selector(".tick")
    before, after = (measure(page, f".sheet:not(.brush) img:nth-of-type({number})") for number in (2, 1))
    assert before[:2] == [128, 96]
    assert abs(before[2] - after[2]) < 3 and after[3] < before[3]
    assert page.locator(".view input[type=range]").first.input_value() in {
        str(level) for level in range(17, 24)
    }


def test_repair_says_what_was_noted(opened: Callable[[str], Page]) -> None:
    page = opened(f"/repair?image={PHOTO}")
    page.wait_for_selector(".notes li")
    said = page.inner_text(".notes")
    chinese = page.evaluate("document.documentElement.lang") == "zh-Hans"
    assert ("噪声的标准差约为" in said) is chinese
    assert ("standard deviation of about" in said) is not chinese


def test_fill_takes_what_the_keyboard_paints(opened: Callable[[str], Page]) -> None:
    page = opened(f"/repair?mode=fill&image={PHOTO}")
    canvas = page.locator(".sheet.brush canvas").first
    canvas.focus()
    for key in ("Space", "ArrowRight", "ArrowRight", "Space"):
        page.keyboard.press(key)
    page.locator("button.main").first.click()
    after = measure(page, ".sheet:not(.brush) img:nth-of-type(1)")
    assert after[:2] == [128, 96]
    assert after != measure(page, ".sheet:not(.brush) img:nth-of-type(2)")


def test_find_shows_the_nearest(opened: Callable[[str], Page]) -> None:
    page = opened("/find?model=shapes&folder=shapes&image=data:shapes/rings/03.png")
    page.wait_for_selector("[data-list=nearest] .tile")
    names = page.locator("[data-list=nearest] figcaption").all_inner_texts()
    assert len(names) == 24
    # Before the page is laid out, the score and the name have no space between them.
    assert {name[name.index("rings/") :] for name in names[:2]} == {"rings/03.png", "rings/copy.png"}


def test_duplicates_shows_pairs_and_lists(opened: Callable[[str], Page]) -> None:
    page = opened("/find?mode=duplicates&folder=shapes")
    page.locator("button.main").click()
    page.wait_for_selector(".pair")
    lists = []
    for number in (-2, -1):
        with page.expect_download() as saved:
            page.locator(".rail .row button").nth(number).click()
        lists.append(set(Path(saved.value.path()).read_text("utf-8").splitlines()))
    keep, drop = lists
    assert "shapes/rings/copy.png" in drop and "shapes/rings/03.png" in keep
    assert not keep & drop and len(keep | drop) == 33
    assert stat(page, "dropped") == len(drop)


def test_unusual_shows_heat_and_false_alarms(opened: Callable[[str], Page]) -> None:
    page = opened("/find?mode=unusual&model=shapes&folder=shapes/rings&normal=shapes/bars")
    page.locator("button.main").click()
    assert measure(page, "[data-picture=heat]")[4] > 60
    flagged = stat(page, "flagged")
    slider = page.locator(".view input[type=range]").last
    slider.focus()
    page.keyboard.press("Home")
    assert stat(page, "flagged") >= flagged
    assert "threshold=" in page.url
    assert page.locator(".tile.flagged").count() > 0


def test_explore_shows_what_lies_at_a_point(opened: Callable[[str], Page]) -> None:
    page = opened("/explore?model=shapes&folder=shapes")
    mean = measure(page, "[data-picture=decoded]")
    assert mean[:2] == [24, 24]
    picture = page.get_attribute("[data-picture=decoded]", "src")
    page.locator("canvas.map").click(position={"x": 30, "y": 30})
    page.wait_for_function(
        "([old]) => document.querySelector('[data-picture=decoded]').getAttribute('src') !== old",
        arg=[picture],
    )
    assert "at=" in page.url
    assert measure(page, "[data-picture=decoded]") != mean
    assert page.locator(".thumbs img").count() >= 5
    page.reload()
    assert measure(page, "[data-picture=decoded]") != mean, "the address holds the place"


def test_walk_shows_images_between(opened: Callable[[str], Page]) -> None:
    page = opened(f"/explore?mode=walk&model=shapes&first={SHAPE}&second=data:shapes/rings/05.png&way=100")
    end = measure(page, "[data-picture=walk]")
    set_slider(page, 0, 0)
    assert measure(page, "[data-picture=walk]") != end


def test_new_shows_images_of_a_class(opened: Callable[[str], Page]) -> None:
    page = opened("/explore?mode=new&model=shapes&folder=shapes&class=rings")
    page.wait_for_selector(".tile img")
    assert page.locator(".tile img").count() == 24
    assert measure(page, ".tile img")[3] > 1


def test_everything_can_be_reached_with_the_keyboard(opened: Callable[[str], Page]) -> None:
    page = opened("/look?model=shapes")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    focused = set()
    for _ in range(14):
        page.keyboard.press("Tab")
        focused.add(
            page.evaluate("document.activeElement.getAttribute('href') ?? document.activeElement.tagName")
        )
    assert {"/look", "/explore", "/compress", "/repair", "/find", "/train", "SELECT", "INPUT"} <= focused
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, a, canvas, [role=application]')]
            .filter((one) => one.offsetParent && !(one.getAttribute('aria-label') || one.labels?.length
                || one.textContent.trim() || one.title)).map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert unnamed == []
    page.locator(".views a[href='/repair']").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#stage[data-view=repair]")


def test_train_shows_curves_and_pictures(opened: Callable[[str], Page], served: Served) -> None:
    page = opened("/train?folder=shapes&recipe=dense&minutes=1440")
    page.wait_for_selector("option[value=conv]", state="attached")
    page.locator("input[type=text]").fill(f"shapes-{len(list(served.out.glob('*.safetensors')))}")
    page.locator(".rail button.main").click()
    assert measure(page, "[data-picture=training]")[3] > 10
    page.wait_for_selector(".plot .loss[d*='L']", state="attached")
    assert stat(page, "pace") > 0
    page.locator("[data-verb=pause]").click()
    page.locator("[data-verb=discard]").click()
    page.wait_for_selector(".empty:visible")


def test_train_takes_the_usual_length_of_the_recipe_until_the_slider_moves(
    opened: Callable[[str], Page],
) -> None:
    page = opened("/train?folder=shapes")
    requests: list[Any] = []

    def answer(route: Route) -> None:
        requests.append(route.request.post_data_json)
        route.fulfill(json={"state": "none", "recipes": []})

    page.route("**/api/training/start", answer)
    page.wait_for_selector("option[value=conv]", state="attached")
    shown = page.locator(".rail .slider output")
    for recipe, length in (("generative", "20"), ("features", "1"), ("conv", "5"), ("generative", "20")):
        page.locator(".rail select").last.select_option(recipe)
        assert re.findall(r"[\d.]+", shown.inner_text()) == [length]
    page.locator(".rail button.main").click()
    set_slider(page, 0, 2)
    page.locator(".rail select").last.select_option("conv")
    assert re.findall(r"[\d.]+", shown.inner_text()) == ["2"]
    page.locator(".rail button.main").click()
    page.wait_for_function("new URLSearchParams(location.search).get('minutes') === '2'")
    assert [(request["recipe"], request["minutes"]) for request in requests] == [
        ("generative", None),
        ("conv", 2),
    ]


def test_messages_of_the_library_speak_the_language(opened: Callable[[str], Page]) -> None:
    page = opened("/train")
    chinese = page.evaluate("document.documentElement.lang") == "zh-Hans"
    for call in (
        lambda: isthmus.read(b"no image"),
        lambda: isthmus.read("no-such-set"),
        lambda: isthmus.describe_recipe("convv"),
        lambda: isthmus.load("absent.safetensors"),
    ):
        with pytest.raises(isthmus.IsthmusError) as caught:
            call()
        said = page.evaluate(
            "async (message) => (await import('/static/kit.js')).messageText(message)", caught.value.to_dict()
        )
        assert "{" not in said and "object" not in said
        assert bool(re.search(r"[\u4e00-\u9fff]{2}", said)) is chinese
        assert chinese or said == str(caught.value)

    finding = {"name": "too-short", "severity": "note", "text": "too-short: 12 steps are few; try steps=36"}
    shown = {"state": "done", "name": "shapes", "steps": [], "validations": [], "findings": [finding]}
    page.route("**/api/training", lambda route: route.fulfill(json={**shown, "recipes": [], "picture": None}))
    page.wait_for_selector(".finding")
    said = page.inner_text(".finding")
    assert "12 steps are few" in said  # with its numbers
    assert ("训练太短" in said) is chinese
