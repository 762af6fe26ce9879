"""Who may ask the page, and what it refuses before any work."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="needs the extra 'browser-test'")
pytest.importorskip("httpx2", reason="needs the extra 'browser-test'")

from fastapi.testclient import TestClient

from isthmus.errors import UsageError
from isthmus.web.data_folder import DataFolder
from isthmus.web.page import Page
from isthmus.web.safety import is_loopback

from .conftest import make_client


def error_id(answer: object) -> str:
    return str(answer.json()["error"]["id"])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8017", "127.0.0.1.evil.example", "", "10.0.0.1"]
)
def test_a_name_that_was_pointed_here_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/api/about", headers={"host": host})
    assert (answer.status_code, error_id(answer)) == (403, "page.host")


@pytest.mark.parametrize("host", ["localhost:8017", "127.0.0.1:9", "[::1]:8017", "LOCALHOST"])
def test_this_machine_is_let_in(client: TestClient, host: str) -> None:
    assert client.get("/look", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_requests_of_other_sites_are_refused(
    client: TestClient, headers: dict[str, str], method: str
) -> None:
    answer = client.request(method, "/api/jobs/x", headers=headers)
    assert (answer.status_code, error_id(answer)) == (403, "page.origin")


def test_its_own_page_and_a_link_are_let_in(client: TestClient) -> None:
    own = {"origin": "http://127.0.0.1:8017", "sec-fetch-site": "same-origin"}
    assert client.post("/api/files?name=a.png", content=b"x", headers=own).status_code == 200
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/find", headers=link).status_code == 200
    assert client.get("/api/about", headers=link).status_code == 403


def test_a_form_of_another_site_cannot_do_anything(client: TestClient) -> None:
    """Without JSON's media type a browser would send it without asking first."""
    answer = client.post("/api/do/look", content=b"{}", headers={"content-type": "text/plain"})
    assert (answer.status_code, error_id(answer)) == (400, "page.no-json")


def test_other_machines_need_the_token_once(page: Page) -> None:
    with make_client(page, host="192.168.1.5", token="abc-secret-123") as client:
        for address in ("/", "/api/about", "/static/app.js", "/look?token=abc-secret-124", "/?token="):
            assert client.get(address).status_code == 401
        answer = client.get("/find?token=abc-secret-123&mode=unusual")
        assert (answer.status_code, answer.headers["location"]) == (303, "/find?mode=unusual")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        assert client.get("/api/about").status_code == 200  # the client keeps the cookie
        assert client.get("/api/about", headers={"host": "evil.example"}).status_code == 403
    with make_client(page, host="192.168.1.5", token="abc-secret-123") as client:
        assert client.post("/api/do/look?token=abc-secret-123", json={}).status_code == 401


def test_the_token_does_not_lead_to_another_site(page: Page) -> None:
    with make_client(page, token="abc-secret-123") as client:
        answer = client.get("//evil.example/?token=abc-secret-123")
        assert answer.headers.get("location", "/").startswith("/") and not answer.headers.get(
            "location", "/"
        ).startswith("//")


def test_pages_forbid_scripts_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/look")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    for text in (answer.text, *(path.read_text("utf-8") for path in static_files())):
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text
    assert " style=" not in answer.text and "<script>" not in answer.text and "onclick=" not in answer.text


def static_files() -> list[Path]:
    import isthmus.web.application as application

    kinds = {".js", ".css", ".html", ".json", ".svg"}
    return [path for path in application.STATIC.rglob("*") if path.suffix in kinds]


def test_a_large_upload_is_refused_with_and_without_its_length(page: Page) -> None:
    with make_client(page, max_bytes=1_000) as client:
        answer = client.post("/api/files", content=b"x" * 1_001)
        assert (answer.status_code, error_id(answer)) == (413, "page.too-large")
        answer = client.post("/api/files", content=(b"x" * 100 for _ in range(11)))
        assert (answer.status_code, error_id(answer)) == (413, "page.too-large")
        assert client.post("/api/files", content=b"x" * 1_000).status_code == 200
        lied = client.post("/api/files", content=b"x", headers={"content-length": "-1"})
        assert lied.status_code == 413


def test_an_image_of_too_many_pixels_is_refused_from_its_header(client: TestClient, page: Page) -> None:
    stream = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(stream, "PNG")  # 900 megapixels in some hundred kB
    content = stream.getvalue()
    assert len(content) < 2_000_000
    key = client.post("/api/files?name=bomb.png", content=content).json()["id"]
    answer = client.post("/api/do/look", json={"model": page.models()[0].name, "image": key})
    while answer.status_code == 202:
        answer = client.get(f"/api/jobs/{answer.json()['job']}")
    assert (answer.status_code, error_id(answer)) == (400, "image-file.too-large")


def test_what_a_visitor_sent_is_never_shown_as_a_page(client: TestClient) -> None:
    script = b"<script>alert(1)</script>"
    key = client.post("/api/files?name=a.html", content=script).json()["id"]
    answer = client.get(f"/api/files/{key}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "photos/../../secret.png",
        "/etc/passwd",
        "photos/../noisy.png",
        "..\\secret.png",
        ".hidden.png",
        "out.png",
        "out/secret.png",
        "photos",
        "C:secret.png",
        "a\0b.png",
        "x" * 3_000,
    ],
)
def test_only_files_of_the_folder_are_read(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    (root / "photos").mkdir(parents=True)
    picture = Image.fromarray(np.zeros((4, 4), dtype=np.uint8))
    for path in (tmp_path / "secret.png", root / "photos" / "noisy.png", root / ".hidden.png"):
        picture.save(path)
    (root / "out.png").symlink_to(tmp_path / "secret.png")
    (root / "out").symlink_to(tmp_path)
    with pytest.raises(UsageError) as caught:
        DataFolder(root).resolve(name)
    assert caught.value.id == "page.not-in-data"


def test_links_are_followed_within_the_folder_alone(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    picture = Image.fromarray(np.zeros((4, 4), dtype=np.uint8))
    picture.save(root / "a" / "1.png")
    picture.save(tmp_path / "secret.png")
    (root / "inside.png").symlink_to(root / "a" / "1.png")
    folder = DataFolder(root)
    assert folder.resolve("inside.png") == root.resolve() / "a" / "1.png"
    assert folder.resolve("", folder=True) == root.resolve()
    (root / "a" / "2.png").symlink_to(tmp_path / "secret.png")
    assert folder.list().images == ("inside.png", "a/1.png")
    with pytest.raises(UsageError) as caught:
        folder.resolve("a", folder=True)
    assert caught.value.id == "page.link-out"


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_which_addresses_are_this_machine_alone(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


def test_links_behind_links_are_checked_too(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for folder in ("x", "y"):
        (root / folder).mkdir(parents=True)
        Image.new("L", (8, 8)).save(root / folder / "a.png")
    (root / "x" / "link").symlink_to(root / "y")
    (tmp_path / "elsewhere").mkdir()
    data = DataFolder(root)
    assert data.resolve("x", folder=True) == root / "x"
    (root / "y" / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError) as caught:
        data.resolve("x", folder=True)
    assert caught.value.id == "page.link-out"
