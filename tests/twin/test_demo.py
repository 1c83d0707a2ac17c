import socket
from contextlib import closing

import pytest

from perception.spool import locked
from twin.demo import Simulated, edge_words, keep_earlier, run_demo
from twin.errors import BadInput, Conflict, Forbidden
from twin.log.sql.lock import WriterLock
from twin.settings import Settings


def test_a_site_without_clips_is_told_of_the_demo_that_needs_none(tmp_path):
    with pytest.raises(BadInput, match=r"no clips at .*motorway.*twin demo --simulated"):
        run_demo(Settings(data_dir=tmp_path / "data"), site="motorway", simulated=None, seconds=1, say=lambda _: None)
    assert not (tmp_path / "data").exists()


def test_the_demo_does_not_start_where_keys_are_asked_for(tmp_path):
    with pytest.raises(BadInput, match="unset TWIN_ACCESS"):
        run_demo(Settings(data_dir=tmp_path, access="keys"), site="demo_lot", simulated=None, seconds=1, say=print)


def test_the_demos_cameras_send_their_pictures_and_simulated_ones_have_none(tmp_path):
    words = edge_words("demo_lot", None, "http://here", tmp_path)
    assert "--pictures" in words
    assert words[-4:] == ["--log", "http://here", "--spool", str(tmp_path)]
    assert "--pictures" not in edge_words("demo_lot", Simulated(1, "clean"), "http://here", tmp_path)


@pytest.fixture
def earlier(tmp_path):
    """A data folder with an earlier log."""
    folder = tmp_path / "twin-data"
    folder.mkdir()
    (folder / "log.db").write_bytes(b"payments")
    return folder


def start_of(data_dir, **given):
    settings = Settings(**{"data_dir": data_dir, "port": 0, **given})
    run_demo(settings, site="demo_lot", simulated=Simulated(1, "clean"), seconds=1, say=print)


def untouched(folder):
    return [one.name for one in folder.parent.iterdir()] == [folder.name] and (folder / "log.db").read_bytes() == b"payments"


def test_the_demo_leaves_a_folder_alone_that_a_service_writes_to(earlier):
    lock = WriterLock(earlier / "log.db")
    with pytest.raises(Conflict, match=r"another process uses '.*twin-data'.*give another --data-dir"):
        start_of(earlier)
    assert untouched(earlier)
    lock.release()
    assert keep_earlier(earlier) == earlier.with_name("twin-data-1")


def test_the_demo_leaves_a_folder_alone_that_an_edge_worker_spools_to(earlier):
    with locked(earlier / "spool"), pytest.raises(Conflict, match="another process uses"):
        start_of(earlier)
    assert untouched(earlier)


def test_the_demo_moves_nothing_where_its_port_is_taken(earlier):
    with closing(socket.create_server(("127.0.0.1", 0))) as other, pytest.raises(BadInput, match="cannot be listened on"):
        start_of(earlier, port=other.getsockname()[1])
    assert untouched(earlier)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"database_url": "postgresql://twin@db/twin"}, BadInput),
        ({"host": "0.0.0.0"}, Forbidden),
        ({"trusted_proxies": "foo bar"}, BadInput),
        ({"webhook_allow": "not a host!!"}, BadInput),
        ({"hosts": "not a host!!"}, BadInput),
    ],
)
def test_the_demo_moves_nothing_where_it_cannot_start(earlier, given, error):
    with pytest.raises(error):
        start_of(earlier, **given)
    assert untouched(earlier)


def test_an_earlier_log_is_put_aside_under_the_next_free_name(earlier):
    earlier.with_name("twin-data-1").mkdir()
    assert keep_earlier(earlier) == earlier.with_name("twin-data-2")
    assert (earlier.with_name("twin-data-2") / "log.db").read_bytes() == b"payments"
    assert not earlier.exists()
    assert keep_earlier(earlier) is None
