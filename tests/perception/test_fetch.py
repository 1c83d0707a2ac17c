import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from perception.fetch import Weights, fetch, fetch_all, weights_named
from twin.errors import BadInput, SourceError

CONTENT = b"a model" * 5000


@pytest.fixture
def server():
    """Sends ``/model`` after a redirect from ``/``, something longer at ``/long``, and nothing elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/":
                self.send_response(302)
                self.send_header("Location", "/model")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = {
                "/model": CONTENT,
                "/model.xml": CONTENT,
                "/model.bin": CONTENT,
                "/long": CONTENT * 2,
                "/other": b"x" * len(CONTENT),
            }.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def _weights(url):
    return Weights(url=url, sha256=hashlib.sha256(CONTENT).hexdigest(), n_bytes=len(CONTENT), licence="Apache-2.0")


def test_a_model_is_fetched_once_and_checked(server, tmp_path):
    path = tmp_path / "models" / "one.onnx"
    assert fetch(_weights(f"{server}/"), path) is True
    assert path.read_bytes() == CONTENT
    assert fetch(_weights("http://127.0.0.1:1/unreachable"), path) is False


@pytest.mark.parametrize(
    ("at", "why"), [("/other", "has the SHA-256"), ("/long", "sent more than the 35000 bytes"), ("/none", "answered 404")]
)
def test_what_is_not_the_model_is_not_kept(server, tmp_path, at, why):
    with pytest.raises(SourceError, match=why):
        fetch(_weights(server + at), tmp_path / "one.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_cannot_be_reached_is_named(tmp_path):
    with pytest.raises(SourceError, match="cannot be reached"):
        fetch(_weights("http://127.0.0.1:1/model"), tmp_path / "one.onnx")


def test_another_file_in_its_place_is_left_alone(server, tmp_path):
    path = tmp_path / "one.onnx"
    path.write_bytes(b"mine")
    with pytest.raises(BadInput, match="is not the published file"):
        fetch(_weights(f"{server}/model"), path)
    assert path.read_bytes() == b"mine"


def test_an_unknown_model_is_refused_with_those_there_are():
    assert [one.licence for one in weights_named("yolox_nano")] == ["Apache-2.0"]
    with pytest.raises(BadInput, match="use one of vehicle-attributes, vehicle-plates, yolox_nano"):
        weights_named("yolox_huge")


def test_what_lies_beside_a_model_is_fetched_with_it_under_its_name(server, tmp_path, monkeypatch):
    files = [_weights(f"{server}/model.xml"), _weights(f"{server}/model.bin")]
    named = [tmp_path / "mine.xml", tmp_path / "mine.bin"]
    assert [(path, is_new) for path, _, is_new in fetch_all(files, named[0])] == [(path, True) for path in named]
    monkeypatch.chdir(tmp_path)
    assert [str(path) for path, _, _ in fetch_all(files, None)] == ["model.xml", "model.bin"]
    assert Path("model.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["vehicle-attributes", "vehicle-plates"])
def test_an_openvino_model_is_its_xml_first_and_its_weights_beside_it(name):
    assert [one.url.rsplit(".", 1)[-1] for one in weights_named(name)] == ["xml", "bin"]
