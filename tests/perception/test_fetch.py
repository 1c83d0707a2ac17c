import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from perception.fetch import Weights, fetch, weights_named
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
            body = {"/model": CONTENT, "/long": CONTENT * 2, "/other": b"x" * len(CONTENT)}.get(self.path)
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
    assert weights_named("yolox_nano").licence == "Apache-2.0"
    with pytest.raises(BadInput, match="use one of yolox_nano"):
        weights_named("yolox_huge")
