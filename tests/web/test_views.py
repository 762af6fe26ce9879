"""What each view gets for its work: the same numbers and pixels as Python and the shell give."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="needs the extra 'browser-test'")
pytest.importorskip("httpx2", reason="needs the extra 'browser-test'")

from fastapi.testclient import TestClient

import isthmus
from isthmus.metrics.pixel_metrics import psnr

from .conftest import SIDE, act

SHAPE = "data:shapes/bars/03.png"
PHOTO = "data:photos/noisy.png"


def pixels(client: TestClient, picture: dict[str, Any]) -> npt.NDArray[np.uint8]:
    """The picture behind an address, which the browser would show."""
    answer = client.get(picture["url"])
    assert answer.headers["content-type"] == "image/png"
    image = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert image.shape[:2] == (picture["height"], picture["width"])
    return image


def upload(client: TestClient, image: npt.NDArray[np.uint8], name: str = "image.png") -> str:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return str(client.post(f"/api/files?name={name}", content=stream.getvalue()).json()["id"])


def test_about_names_models_and_limits(client: TestClient, model_path: str) -> None:
    about = client.get("/api/about").json()
    names = [model["name"] for model in about["models"]]
    assert names[0] == "shapes" and {"photo-codec", "photo-inpaint"} < set(names)
    assert about["models"][0]["source"] == model_path
    assert (about["models"][0]["code"], about["models"][0]["channels"]) == ("8", 1)
    assert about["data"] is True


def test_the_folder_is_listed(client: TestClient) -> None:
    everything = client.get("/api/data").json()
    assert everything["count"] == 34
    assert {"shapes", "shapes/bars", "photos"} <= set(everything["folders"])
    assert client.get("/api/data?folder=photos").json()["images"] == ["photos/noisy.png"]
    assert client.get("/api/data?folder=../").status_code == 404


def test_look_shows_what_the_model_gives(client: TestClient, model_path: str, data: Path) -> None:
    result = act(client, "look", {"model": "shapes", "image": SHAPE})
    network = isthmus.load(model_path)
    image = np.asarray(Image.open(data / "shapes/bars/03.png"))
    again = network.reconstruct(image[..., None])
    assert np.array_equal(pixels(client, result["before"]), image)
    assert np.array_equal(pixels(client, result["after"]), again[..., 0])
    import torch

    pair = [torch.from_numpy(item.reshape(1, 1, SIDE, SIDE).copy()).float() / 255 for item in (again, image)]
    assert result["psnr"] == pytest.approx(float(psnr(*pair)), abs=1e-4)
    assert result["code"] == pytest.approx(
        np.asarray(network.encode(image[..., None])).ravel().tolist(), abs=1e-5
    )
    apart = np.abs(again[..., 0].astype(int) - image.astype(int)) * 4
    assert np.array_equal(pixels(client, result["difference"]), np.clip(apart, 0, 255))


def test_an_image_of_another_size_and_colour_is_fitted_to_the_model(client: TestClient) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    result = act(client, "look", {"model": "shapes", "image": upload(client, colour)})
    assert result["resized"] is True
    assert pixels(client, result["after"]).shape == (SIDE, SIDE)


def test_the_answer_holds_the_notes(client: TestClient) -> None:
    answer = client.post("/api/do/denoise", json={"image": PHOTO})
    while answer.status_code == 202:
        answer = client.get(f"/api/jobs/{answer.json()['job']}")
    notes = {note["id"]: note for note in answer.json()["notes"]}
    assert set(notes) == {"denoise.noise-level"}
    assert 10 < notes["denoise.noise-level"]["fields"]["level"] < 30


@pytest.mark.parametrize(
    ("action", "values", "status", "id"),
    [
        ("look", {"model": "shapes"}, 400, "page.parameter"),
        ("look", {"model": "shapes", "image": 3}, 400, "page.parameter"),
        ("look", {"model": "none", "image": SHAPE}, 404, "page.no-model"),
        ("look", {"model": "../shapes", "image": SHAPE}, 404, "page.no-model"),
        ("look", {"model": "shapes", "image": "data:../x.png"}, 404, "page.not-in-data"),
        ("look", {"model": "shapes", "image": "0123"}, 404, "page.file-gone"),
        ("compress", {"model": "photo-codec", "image": PHOTO, "quality": 0}, 400, "page.parameter"),
        ("compress", {"model": "photo-codec", "image": PHOTO, "quality": 1e400}, 400, "page.parameter"),
        ("denoise", {"image": PHOTO, "sigma": -1}, 400, "page.parameter"),
        ("decode", {"model": "shapes", "folder": "shapes", "moves": ["a"]}, 400, "page.parameter"),
        ("decode", {"model": "shapes", "folder": "shapes", "moves": [0] * 99}, 400, "page.parameter"),
        ("open-space", {"model": "shapes", "folder": "nowhere"}, 404, "page.not-in-data"),
        ("heat", {"model": "shapes", "folder": "shapes", "row": 0}, 400, "page.result-gone"),
        ("format-disk", {}, 404, "page.no-action"),
    ],
)
def test_wrong_requests_are_named(
    client: TestClient, action: str, values: dict[str, Any], status: int, id: str
) -> None:
    import json

    body = json.dumps(values)
    answer = client.post(f"/api/do/{action}", content=body, headers={"content-type": "application/json"})
    while answer.status_code == 202:
        answer = client.get(f"/api/jobs/{answer.json()['job']}")
    error = answer.json()["error"]
    assert (answer.status_code, error["id"]) == (status, id)
    assert set(error) >= {"id", "text", "fields", "hint"} and error["text"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"3", b"\xff", b"[" * 50_000])
def test_what_is_no_object_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/api/do/look", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["id"]) == (400, "page.no-object")


def test_compress_gives_the_file_and_what_is_in_it(client: TestClient, data: Path) -> None:
    values = {"model": "photo-codec", "image": PHOTO, "name": "noisy.png"}
    small = act(client, "compress", {**values, "quality": 20})
    large = act(client, "compress", {**values, "quality": 80})
    assert small["bytes"] < large["bytes"] and small["psnr"] < large["psnr"]
    saved = client.get(f"{large['file']}?save=true")
    assert "noisy.isth" in saved.headers["content-disposition"]
    image = np.asarray(Image.open(data / "photos" / "noisy.png"))
    assert saved.content == isthmus.compress(image, quality=80)
    assert len(saved.content) == large["bytes"]
    assert np.array_equal(pixels(client, large["after"]), isthmus.decompress(saved.content))

    key = client.post("/api/files?name=noisy.isth", content=saved.content).json()["id"]
    opened = act(client, "open-compressed", {"model": "photo-codec", "file": key})
    assert np.array_equal(pixels(client, opened["picture"]), isthmus.decompress(saved.content))
    as_png = client.get(f"{opened['picture']['url']}?save=true")
    assert "noisy.png" in as_png.headers["content-disposition"]


@pytest.mark.parametrize("coder", ["jpeg", "webp", "avif"])
def test_other_coders_get_no_more_bytes(client: TestClient, coder: str) -> None:
    result = act(client, "compare-coders", {"image": PHOTO, "coder": coder, "bytes": 3_000})
    assert 1_000 < result["bytes"] <= 3_000
    assert result["psnr"] > 20
    assert pixels(client, result["after"]).shape == (96, 128, 3)


def test_noise_is_measured_and_taken_out(client: TestClient) -> None:
    measured = act(client, "noise", {"image": PHOTO})
    assert measured["sigma"] == pytest.approx(20, rel=0.1)
    result = act(client, "denoise", {"image": PHOTO, "sigma": 20, "name": "noisy.png"})
    before, after = (pixels(client, result[name]).astype(float) for name in ("before", "after"))
    # The picture is smooth: what changes from pixel to pixel is noise.
    assert np.abs(np.diff(after, axis=1)).mean() < 0.25 * np.abs(np.diff(before, axis=1)).mean()
    assert (
        "noisy-denoised.png"
        in client.get(f"{result['after']['url']}?save=true").headers["content-disposition"]
    )
    half = act(client, "denoise", {"image": PHOTO, "sigma": 20, "strength": 0})
    assert np.array_equal(pixels(client, half["after"]), before)


def test_a_painted_mask_is_filled_and_nothing_else(client: TestClient) -> None:
    mask = np.zeros((96, 128), dtype=np.uint8)
    mask[30:50, 40:80] = 255
    result = act(client, "fill", {"image": PHOTO, "mask": upload(client, mask)})
    before, after = (pixels(client, result[name]) for name in ("before", "after"))
    assert result["missing"] == pytest.approx(20 * 40 / (96 * 128))
    assert np.array_equal(before[mask == 0], after[mask == 0])
    assert not np.array_equal(before[mask > 0], after[mask > 0])
    answer = client.post("/api/do/fill", json={"image": PHOTO, "mask": upload(client, mask[:50])})
    while answer.status_code == 202:
        answer = client.get(f"/api/jobs/{answer.json()['job']}")
    assert answer.json()["error"]["id"] == "page.mask-size"


def test_find_nearest_finds_the_image_itself_and_its_kind(client: TestClient) -> None:
    values = {"model": "shapes", "folder": "shapes"}
    assert act(client, "index", values)["added"] == 33
    result = act(client, "nearest", {**values, "image": "data:shapes/rings/05.png", "count": 5})
    assert result["added"] == 0
    assert result["matches"][0]["image"] == "data:shapes/rings/05.png"
    assert result["matches"][0]["value"] == pytest.approx(1, abs=1e-4)
    assert client.get("/api/data-file", params={"name": result["matches"][1]["image"][5:]}).status_code == 200


def test_find_duplicates_names_pairs_and_all_images(client: TestClient, data: Path) -> None:
    before = sorted(path.name for path in data.rglob("*"))
    result = act(client, "duplicates", {"folder": "shapes"})
    pairs = [{pair["first"], pair["second"]} for pair in result["pairs"] if pair["exact"]]
    assert pairs == [{"data:shapes/rings/03.png", "data:shapes/rings/copy.png"}]
    assert len(result["names"]) == 33
    assert sorted(path.name for path in data.rglob("*")) == before


def test_find_unusual_scores_as_the_library_does(client: TestClient, model_path: str, data: Path) -> None:
    values = {"model": "shapes", "folder": "shapes/rings", "normal": "shapes/bars"}
    result = act(client, "unusual", values)
    expected = isthmus.anomalies(model_path, data / "shapes/rings", normal=data / "shapes/bars")
    scores = {score["name"]: score["score"] for score in result["scores"]}
    assert scores == pytest.approx(dict(zip(expected.names, expected.scores, strict=True)))
    assert [score["score"] for score in result["scores"]] == sorted(scores.values(), reverse=True)
    heat = act(client, "heat", {**values, "row": result["scores"][0]["row"]})
    painted = pixels(client, heat["heat"]).astype(int)
    assert painted.shape == (SIDE, SIDE, 3)
    assert (painted[..., 0] - painted[..., 2]).max() > 60  # somewhere it is red


def test_explore_decodes_points_of_the_plane(client: TestClient, model_path: str, data: Path) -> None:
    values = {"model": "shapes", "folder": "shapes"}
    space = act(client, "open-space", values)
    assert len(space["names"]) == len(space["points"]) == 33
    assert set(space["labels"]) == {"bars", "rings"}
    assert 0.2 < sum(space["explained"]) <= 1.0001
    # At the place of an image, along all directions, its own reconstruction is decoded.
    at = space["names"].index("data:shapes/bars/03.png")
    decoded = act(client, "decode", {**values, "moves": space["coordinates"][at]})
    image = np.asarray(Image.open(data / "shapes/bars/03.png"))[..., None]
    again = isthmus.load(model_path).reconstruct(image)[..., 0].astype(int)
    assert np.abs(pixels(client, decoded["picture"]).astype(int) - again).mean() < 2
    other = act(client, "decode", {**values, "moves": [2.0]})
    assert not np.array_equal(pixels(client, other["picture"]), pixels(client, space["picture"]))
    numbers = act(client, "decode", {**values, "numbers": space["numbers"]})
    assert np.array_equal(pixels(client, numbers["picture"]), pixels(client, space["picture"]))


def test_walk_begins_and_ends_at_the_images(client: TestClient) -> None:
    ends = {"first": "data:shapes/bars/01.png", "second": "data:shapes/rings/01.png"}
    result = act(client, "walk", {"model": "shapes", **ends, "frames": 5})
    assert len(result["pictures"]) == 5
    for index, end in ((0, ends["first"]), (-1, ends["second"])):
        view = act(client, "look", {"model": "shapes", "image": end})
        walked = pixels(client, result["pictures"][index]).astype(int)
        assert np.abs(walked - pixels(client, view["after"])).max() <= 1


def test_new_images_follow_seed_temperature_and_class(client: TestClient, page: Any) -> None:
    values = {"model": "shapes", "folder": "shapes", "count": 4}
    result = act(client, "draw", {**values, "seed": 1})
    again = act(client, "draw", {**values, "seed": 1})
    assert [picture["id"] for picture in result["pictures"]] == [
        picture["id"] for picture in again["pictures"]
    ]
    assert result["pictures"] != act(client, "draw", {**values, "seed": 2})["pictures"]
    assert result["pictures"] != act(client, "draw", {**values, "seed": 1, "label": "rings"})["pictures"]
    answer = client.post("/api/do/draw", json={**values, "guidance": 2})
    while answer.status_code == 202:
        answer = client.get(f"/api/jobs/{answer.json()['job']}")
    assert answer.json()["error"]["id"] == "prior.not-guided"  # a mixture
    assert "prior/mixture" not in isthmus.load(page.source("shapes")).attachments, "the file is left as it is"
