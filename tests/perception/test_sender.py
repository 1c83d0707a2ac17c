import hashlib
import json
import logging

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from perception.emit import Crop, Emission
from perception.sender import Sender
from perception.sinks import SpoolSink
from perception.spool import Spool
from twin.backoff import Backoff
from twin.errors import BadInput
from twin.events.codec import from_json
from twin.events.observations import FrameObserved, Personal, TrackletEmbedded

AT_ONCE = Backoff(lambda: 0.0, first_s=0.02, longest_s=0.02)


class Service:
    """The two routes of the twin's service that an edge uses, with switches for what can go wrong."""

    def __init__(self) -> None:
        self.position_by_key: dict[tuple, int] = {}
        self.order: list[str] = []
        self.crops: dict[str, bytes] = {}
        self.faults: list[int] = []  # statuses of the next answers
        self.poison: set[int] = set()  # occurred_at that are refused with 422
        self.expired: set[int] = set()  # occurred_at of what was stored and cut
        self.crop_status = 201
        self.shown: list[str | None] = []  # keys, one a request
        self.app = Starlette(
            routes=[
                Route("/v1/sites/lot/observations", self.observations, methods=["POST"]),
                Route("/v1/sites/lot/crops/{id}", self.crop, methods=["PUT"]),
            ]
        )

    async def observations(self, request):
        self.shown.append(request.headers.get("authorization"))
        lines = [line for line in (await request.body()).split(b"\n") if line]
        if self.faults:
            status = self.faults.pop(0)
            if status < 300:  # stored, but the answer is lost
                self.store(lines)
                return PlainTextResponse("lost", 503)
            return JSONResponse({"title": "fault", "detail": "on purpose"}, status)
        if any(from_json(line).occurred_at in self.poison for line in lines):
            return JSONResponse({"detail": "poison"}, 422)
        return JSONResponse({"receipts": self.store(lines)})

    def store(self, lines):
        receipts = []
        for line in lines:
            event = from_json(line)
            if event.occurred_at in self.expired:
                receipts.append({"outcome": "expired"})
                continue
            key = (event.key.device, event.key.boot_epoch, event.key.sequence)
            outcome = "duplicate" if key in self.position_by_key else "stored"
            if outcome == "stored":
                self.position_by_key[key] = len(self.position_by_key) + 1
                self.order.append(event.occurred_at)
            receipts.append({"outcome": outcome, "position": str(self.position_by_key[key])})
        return receipts

    async def crop(self, request):
        self.shown.append(request.headers.get("authorization"))
        body = await request.body()
        name = request.path_params["id"]
        assert request.query_params["tracklet"] == "north:1:1"
        assert hashlib.sha256(body).hexdigest() == name
        if self.crop_status < 300:
            self.crops[name] = body
        return JSONResponse({}, self.crop_status)


@pytest.fixture
def service(serve):
    service = Service()
    service.served = serve(service.app)
    return service


@pytest.fixture
def sink(service, tmp_path):
    spool = Spool(tmp_path / "spool", site="lot", device="edge")
    made = SpoolSink(spool, Sender(spool, url=service.served.url, site="lot", backoff=AT_ONCE, timeout_s=5), drain_s=10)
    yield made
    made._sender.stop()
    spool.close()


def frame(at: int) -> Emission:
    return Emission(at, FrameObserved(camera="north", frame_px=(320, 192), detector="d", clock="file"))


def embedded(at: int) -> Emission:
    body = b"jpeg %d" % at
    crop = Crop(hashlib.sha256(body).hexdigest(), body)
    personal = Personal(embedding=b"\1", crop=crop.id)
    payload = TrackletEmbedded(
        camera="north", tracklet="north:1:1", kind="car", embedder="e", box_px=(0.0,) * 4, quality=0.5, personal=personal
    )
    return Emission(at, payload, crop)


def test_everything_arrives_once_in_order_with_its_crops(service, sink):
    service.served.start()
    for at in range(1, 300):
        sink.write([frame(at)] if at % 50 else [embedded(at)])
    sink.close()
    assert service.order == list(range(1, 300))
    assert sorted(service.crops.values()) == sorted(b"jpeg %d" % at for at in range(50, 300, 50))
    assert (sink.delivery.delivered, sink.delivery.spooled, sink.delivery.rejected) == (299, 0, 0)


def test_a_service_that_is_away_gets_everything_when_it_is_back(service, sink):
    for at in range(1, 100):
        sink.write([frame(at)])
    sink._flush()
    assert service.order == []
    service.served.start()
    sink.close()
    assert service.order == list(range(1, 100))
    assert sink.delivery.spooled == 0


def test_lost_answers_and_server_errors_double_nothing(service, sink):
    service.faults = [503, 200, 500, 200, 429]
    service.served.start()
    for at in range(1, 50):
        sink.write([frame(at)])
    sink.close()
    assert service.order == list(range(1, 50))


def test_what_stays_undelivered_is_in_the_spool_for_the_next_run(service, sink, tmp_path):
    sink._drain_s = 0.1
    sink.write([frame(1), embedded(2)])
    sink.close()
    assert sink.delivery.spooled == 2
    assert "cannot be reached" in sink.delivery.trouble
    service.served.start()
    spool = Spool(tmp_path / "spool", site="lot", device="edge")
    again = SpoolSink(spool, Sender(spool, url=service.served.url, site="lot", backoff=AT_ONCE), drain_s=10)
    again.close()
    assert service.order == [1, 2]


def test_one_poisoned_observation_is_parked_and_the_others_arrive(service, sink, tmp_path):
    service.poison = {37}
    service.served.start()
    sink.write([frame(at) for at in range(1, 80)])
    sink.close()
    assert sorted(service.order) == [at for at in range(1, 80) if at != 37]
    assert sink.delivery.rejected == 1
    parked = json.loads((tmp_path / "spool" / "rejected.jsonl").read_text())
    assert parked["sequence"] == "37"


def test_what_the_service_has_cut_since_is_dropped_and_counted_and_not_sent_again(service, sink):
    service.expired = {1}
    service.served.start()
    sink.write([frame(1), frame(2)])
    sink.close()
    assert service.order == [2]
    assert (sink.delivery.delivered, sink.delivery.expired, sink.delivery.spooled, sink.delivery.rejected) == (1, 1, 0, 0)


@pytest.mark.parametrize("status", [404, 405])
def test_an_edge_that_is_refused_stops_with_the_services_words_and_keeps_its_spool(status, service, sink):
    service.faults = [status]
    service.served.start()
    sink.write([frame(1)])
    with pytest.raises(BadInput, match=rf"answered {status}: on purpose.*keeps 1 observations"):
        sink.close()
    assert sink.delivery.spooled == 1


@pytest.mark.parametrize("status", [401, 403])
def test_an_edge_that_is_not_let_in_says_so_keeps_its_spool_and_tries_again_until_it_is(status, service, tmp_path, caplog):
    service.faults = [status] * 3
    service.served.start()
    spool = Spool(tmp_path / "barred", site="lot", device="edge")
    sink = SpoolSink(spool, Sender(spool, url=service.served.url, site="lot", key="wrong", barred_s=0.02), drain_s=10)
    with caplog.at_level(logging.WARNING):
        sink.write([frame(1), frame(2)])
        sink.close()
    assert service.order == [1, 2]
    assert (sink.delivery.delivered, sink.delivery.spooled, sink.delivery.rejected) == (2, 0, 0)
    (told,) = [one.getMessage() for one in caplog.records if one.name == "perception.sender"]  # once, not at every try
    assert f"does not let this edge in ({status}: on purpose)" in told
    assert "TWIN_API_KEY" in told


def test_an_edge_that_is_not_let_in_tries_slowly(service, tmp_path):
    service.faults = [401] * 1_000
    service.served.start()
    spool = Spool(tmp_path / "barred", site="lot", device="edge")
    sink = SpoolSink(spool, Sender(spool, url=service.served.url, site="lot", backoff=AT_ONCE), drain_s=0.5)
    sink.write([frame(1)])
    sink.close()
    assert len(service.faults) == 999
    assert sink.delivery.spooled == 1
    assert "does not let this edge in" in sink.delivery.trouble


def test_an_edge_shows_its_key_with_observations_and_crops(service, tmp_path):
    service.served.start()
    spool = Spool(tmp_path / "keyed", site="lot", device="edge")
    sink = SpoolSink(spool, Sender(spool, url=service.served.url, site="lot", key=" twin_1_2\n"), drain_s=10)
    sink.write([embedded(1)])
    sink.close()
    assert service.shown == ["Bearer twin_1_2"] * 2
    with pytest.raises(BadInput, match="characters that no key has"):
        Sender(spool, url=service.served.url, site="lot", key="twin\n1")


def test_a_crop_without_room_is_a_declared_loss_and_its_event_arrives(service, sink):
    service.crop_status = 507
    service.served.start()
    sink.write([embedded(5)])
    sink.close()
    assert service.order == [5, 5]  # the event, and the loss of its crop at the same time
    assert service.crops == {}


def test_what_is_no_service_is_refused(serve, tmp_path):
    async def page(request):
        return PlainTextResponse("<html>")

    served = serve(Starlette(routes=[Route("/{path:path}", page, methods=["POST", "PUT"])])).start()
    spool = Spool(tmp_path / "spool", site="lot", device="edge")
    sink = SpoolSink(spool, Sender(spool, url=served.url, site="lot", backoff=AT_ONCE), drain_s=10)
    sink.write([frame(1)])
    with pytest.raises(BadInput, match="without receipts"):
        sink.close()
    assert sink.delivery.spooled == 1


def test_an_address_without_http_is_refused(tmp_path):
    spool = Spool(tmp_path / "spool", site="lot", device="edge")
    with pytest.raises(BadInput, match="no address of a service"):
        Sender(spool, url="localhost:8600", site="lot")
    spool.close()
