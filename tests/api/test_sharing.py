"""A model that is shared comes back whole, says what it is, and does not say where its images lay."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.__main__ import main
from isthmus.api.sharing import PushedModel
from isthmus.errors import MissingExtraError, ModelFileError, OutputError, UsageError
from isthmus.model.autoencoder import build
from isthmus.model.file import read_header
from isthmus.model.hub import HubError
from isthmus.model.loading import load
from isthmus.model.recipes import recipe

from .parity import Parity

SHARED = "photos.safetensors"


def share_again() -> PushedModel:
    return isthmus.push(SHARED, "./shared/", private=True, message="mine", force=True)


PARITY = {
    "push": Parity(["push", SHARED, "./first/"], lambda: isthmus.push(SHARED, "./second/")),
    "push, all options": Parity(
        ["push", SHARED, "./shared/", "--private", "--message", "mine", "--force"], share_again
    ),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    small = recipe("dense").with_settings({"code": "2", "backbone.width": "3"})
    made = build(small, channels=1, size=(5, 5), seed=3)
    made.summary = {"data": {"source": "/private/of/mine/photos/", "images": 12}, "steps": 7}
    made.save(tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


def test_through_a_folder_and_back(model: Path, tmp_path: Path) -> None:
    place = str(tmp_path / "shared")
    assert isthmus.push(model, place).url == place
    isthmus.pull(place, tmp_path / "again.safetensors")
    before, after = load(model), load(tmp_path / "again.safetensors")
    images = np.random.default_rng(0).random((3, 5, 5), np.float32)
    assert np.array_equal(before.reconstruct(images), after.reconstruct(images))


def test_a_model_in_memory_is_shared(tmp_path: Path) -> None:
    small = recipe("dense").with_settings({"code": "2", "backbone.width": "3"})
    result = isthmus.push(build(small, channels=1, size=(5, 5), seed=3), f"{tmp_path}/shared/")
    assert result.model == "dense"
    assert load(tmp_path / "shared" / "model.safetensors").size == (5, 5)


@pytest.mark.usefixtures("here")
def test_the_command_fetches_the_same_file(capsys: pytest.CaptureFixture[str]) -> None:
    place = isthmus.push(SHARED, "./shared/").place
    assert main(["pull", place, "-o", "one.safetensors"]) == 0
    assert "one.safetensors" in capsys.readouterr().out
    assert isthmus.pull(place, out="two.safetensors").model == "two.safetensors"
    assert Path("one.safetensors").read_bytes() == Path("two.safetensors").read_bytes()
    assert isthmus.pull(place).model == "shared.safetensors"


def test_the_path_of_the_images_stays_here(model: Path, tmp_path: Path) -> None:
    isthmus.push(model, str(tmp_path / "shared"))
    assert read_header(tmp_path / "shared" / "model.safetensors")["summary"]["data"]["source"] == "photos"
    for file in (tmp_path / "shared").iterdir():
        assert b"private" not in file.read_bytes()
    text = (tmp_path / "shared" / "README.md").read_text("utf-8")
    assert text.startswith("---\nlibrary_name: isthmus\n") and "12 images of photos" in text
    assert read_header(model)["summary"]["data"]["source"] == "/private/of/mine/photos/"


def test_what_exists_is_kept(model: Path, tmp_path: Path) -> None:
    place = str(tmp_path / "shared")
    isthmus.push(model, place)
    with pytest.raises(OutputError):
        isthmus.push(model, place)
    isthmus.push(model, place, force=True)
    with pytest.raises(OutputError):
        isthmus.pull(place, model)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not a model")
    with pytest.raises(ModelFileError):
        isthmus.pull(f"{tmp_path}/", tmp_path / "new.safetensors")
    with pytest.raises(ModelFileError):
        isthmus.push(tmp_path / "model.safetensors", str(tmp_path / "shared"))
    assert not (tmp_path / "new.safetensors").exists() and not (tmp_path / "shared").exists()


def test_a_place_that_is_nothing(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="OWNER/NAME"):
        isthmus.push(model, "photos")
    monkeypatch.setattr("isthmus.model.hub.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="hub"):
        isthmus.push(model, "somebody/photos")


@pytest.fixture
def served(model: Path) -> Iterator[str]:
    """A hub on this machine that holds one repository, as far as fetching a file needs one."""
    data, commit = model.read_bytes(), "1" * 40

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            is_shared_path = self.path == "/somebody/photos/resolve/main/model.safetensors"
            self.send_response(200 if is_shared_path else 404)
            self.send_header("Content-Length", str(len(data) if is_shared_path else 0))
            if is_shared_path:
                self.send_header("ETag", '"abc"')
                self.send_header("X-Repo-Commit", commit)
            else:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_through_a_hub(served: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = pytest.importorskip("huggingface_hub", reason="needs the extra 'hub'")
    fetch = client.hf_hub_download

    def local(*args: object, **options: object) -> str:
        return str(fetch(*args, endpoint=served, cache_dir=tmp_path / "cache", token=False, **options))

    monkeypatch.setattr(client, "hf_hub_download", local)
    isthmus.pull("somebody/photos", tmp_path / "pulled.safetensors")
    assert (tmp_path / "pulled.safetensors").read_bytes() == model.read_bytes()
    with pytest.raises(HubError, match="nobody/nothing was not pulled"):
        isthmus.pull("nobody/nothing", tmp_path / "other.safetensors")
