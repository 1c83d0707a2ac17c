"""What a gate answers: from who stands there, what is paid, and whether there is room; and what it says when it cannot know."""

import pytest
from msgspec.structs import replace

from site_models.schema import Camera, GateTerms, GroundHomography, Tariff
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, Recorded
from twin.events.facts import GateChanged, GateDecided, PortalCrossed
from twin.events.ids import SECOND
from twin.events.observations import GateReported, LoopTripped, OperatorDecided, PaymentReceived
from twin.fusion.motion import born
from twin.fusion.pending import OrderingState
from twin.fusion.silence import Delivery
from twin.fusion.state import FusionState, Track
from twin.rules.fold import Fold
from twin.rules.passages import right_share
from twin.rules.sessions import Sessions
from twin.rules.tariff import MINUTE
from twin.rules.window import Core

T0 = 1_767_268_800_000_000
CLOSED = 300_000  # microseconds before the clock: what the hold leaves open
TARIFF = Tariff(id="h", version=1, currency="EUR", step_minutes=60, price_minor=200, grace_minutes=10)
WIDE = Camera(
    id="wide",
    level="ground",
    frame_px=(100, 100),
    geometry=GroundHomography(matrix=(1.2, 0.0, -20.0, 0.0, 0.2, -4.0, 0.0, 0.0, 1.0)),
    range_m=500.0,
)


def standing(number, x, y=3.0, vx=0.0, vehicle="", **more):
    motion = replace(born(T0, x, y, (0.1, 0.0, 0.1), 1.0), vx=vx)
    return Track(
        id=number,
        level="ground",
        status="moving",
        motion=motion,
        kind="car",
        kind_scores={},
        heading=(1.0, 0.0),
        born_at=T0,
        first_m=(x, y),
        is_inner_birth=False,
        hits=9,
        seen_at=T0,
        seen_by="wide",
        vehicle=vehicle or f"v{number}",
        evidence=(f"o{number}",),
        **more,
    )


class Gate:
    """The lot with a camera that sees all of it; minutes count from noon."""

    def __init__(self, lot, *, tariffs=(TARIFF,), **terms):
        self.fold = Fold(replace(lot, cameras=(WIDE,), tariffs=tariffs, gates=GateTerms(**terms)))
        self.state, self.n, self.tracks, self.silent = self.fold.initial(), 0, [], False

    def enters(self, minute, vehicle, certainty=1.0, flags=()):
        """Its entry as the fusion told it."""
        rules = Sessions(self.fold.site, self.state.sessions)
        where = {"portal": "entry", "direction": "in", "position_m": (0.0, 3.0), "speed_mps": 3.0}
        crossed = PortalCrossed(vehicle=vehicle, **where, certainty=certainty, flags=flags)
        at = T0 + minute * MINUTE
        event = FactEvent(site="lot", fold_version="2", cause=minute + 1, ordinal=0, occurred_at=at, payload=crossed)
        ((_, opened), *_) = rules.react(event)
        self.state = replace(self.state, sessions=rules.finished())
        return opened.session

    def tell(self, minute, payload, after_s=0):
        """One observation that is ``after_s`` seconds off the clock; returns its facts."""
        at, self.n = T0 + minute * MINUTE, self.n + 1
        fusion = FusionState(tracks={track.id: track for track in self.tracks})
        core = Core(fusion, {"wide": Delivery(at, not self.silent)})
        state = replace(self.state, core=core, order=OrderingState(closed_at=at - CLOSED, clock_at=at))
        key = DeviceKey(device="gate", boot_epoch=1, sequence=self.n)
        event = ObservationEvent(site="lot", key=key, occurred_at=at + after_s * SECOND, payload=payload)
        self.state, facts = self.fold.step(state, Recorded(position=self.n, recorded_at=at, event=event), None)
        return [fact.payload for fact in facts]

    def asks(self, minute, portal="exit", direction=None, after_s=0):
        (decided,) = self.tell(minute, LoopTripped(portal=portal, direction=direction), after_s)
        assert isinstance(decided, GateDecided)
        return decided

    def pays(self, minute, session, amount):
        payload = PaymentReceived(payment=f"p{self.n}", session=session, amount_minor=amount, currency="EUR")
        return self.tell(minute, payload)


@pytest.fixture
def gate(lot):
    return lambda **given: Gate(lot, **given)


def test_who_has_not_paid_is_refused_with_what_is_due_and_let_out_once_it_is_paid(gate):
    lot = gate()
    session = lot.enters(0, "v1")
    lot.tracks = [standing(1, 77.0)]
    unpaid = lot.asks(70)
    assert (unpaid.answer, unpaid.reasons, unpaid.due_minor, unpaid.currency) == ("refuse", ("unpaid",), 400, "EUR")
    assert (unpaid.vehicle, unpaid.session, unpaid.direction) == ("v1", session, "out")
    lot.pays(71, session, 400)
    paid = lot.asks(72)
    assert (paid.answer, paid.reasons, paid.due_minor) == ("open", ("paid",), 0)
    assert paid.decision != unpaid.decision
    assert lot.asks(86).answer == "open", "15 minutes to leave"
    late = lot.asks(122)
    assert (late.answer, late.due_minor) == ("refuse", 200), "it stayed into the third hour"


def test_what_costs_nothing_is_let_out(gate):
    lot = gate()
    session = lot.enters(0, "v1")
    lot.tracks = [standing(1, 77.0)]
    assert lot.asks(9).reasons == ("nothing_due",)
    waived = OperatorDecided(decision="waive", author="ann", reason="fair", session=session)
    lot.tell(100, waived)
    assert lot.asks(101).reasons == ("waived",)
    free = gate(tariffs=())
    free.enters(0, "v1")
    free.tracks = lot.tracks
    assert (free.asks(500).answer, free.asks(501).reasons) == ("open", ("not_billed",))


def test_an_answer_says_until_when_it_holds_on_what_it_rests_and_as_of_when(gate):
    lot = gate(valid_s=20)
    lot.enters(0, "v1")
    lot.tracks = [standing(1, 77.0)]
    decided = lot.asks(5)
    at = T0 + 5 * MINUTE
    assert (decided.expires_at, decided.as_of_at) == (at + 20 * SECOND, at - CLOSED)
    assert decided.evidence[0] == "o1"
    assert len(decided.evidence) == 2, "what saw it there, and the crossing that its stay rests on"
    assert decided.confidence == right_share(1.0), "no surer than stays of such crossings are right"


@pytest.mark.parametrize(
    ("tracks", "reason"),
    [
        ([], "no_vehicle"),
        ([standing(1, 60.0)], "no_vehicle"),
        ([standing(1, 77.0, stall="s7")], "no_vehicle"),
        ([standing(1, 77.0, vx=-2.0)], "no_vehicle"),  # it has just come in, and drives on
        ([standing(1, 77.0, vehicle="v1"), standing(2, 76.0, y=5.0)], "ambiguous_vehicle"),
        ([standing(2, 77.0)], "no_stay"),
        ([standing(1, 77.0, certainty=0.5)], "ambiguous_identity"),
        ([standing(1, 77.0, flags=("ambiguous_identity",))], "ambiguous_identity"),
    ],
)
@pytest.mark.parametrize("answer", ["ask", "open"])
def test_whoever_cannot_be_told_at_an_exit_gets_the_answer_that_the_site_says(gate, tracks, reason, answer):
    lot = gate(unknown_out=answer)
    lot.enters(0, "v1")
    lot.tracks = tracks
    decided = lot.asks(30)
    assert (decided.answer, decided.reasons) == (answer, (reason,))
    assert decided.confidence == 0.0


def test_the_next_in_the_queue_is_not_meant(gate):
    lot = gate()
    session = lot.enters(0, "v1")
    lot.enters(1, "v2")
    lot.tracks = [standing(2, 72.0), standing(1, 77.0)]
    assert lot.asks(5).session == session


def test_one_that_is_out_of_sight_is_meant_where_no_other_is_there(gate):
    lot = gate()
    session = lot.enters(0, "v1")
    hidden = standing(1, 76.0)
    hidden.status = "hidden"
    lot.tracks = [hidden]
    assert lot.asks(5).session == session
    second = lot.enters(1, "v2")
    lot.tracks = [hidden, standing(2, 75.0)]
    assert lot.asks(6).session == second


def test_without_a_camera_that_delivers_nobody_is_taken_for_anybody(gate):
    lot = gate()
    lot.enters(0, "v1")
    lot.tracks, lot.silent = [standing(1, 77.0)], True
    assert (lot.asks(30).answer, lot.asks(30).reasons) == ("ask", ("camera_silent",))
    assert (lot.asks(30, "entry").answer, lot.asks(30, "entry").reasons) == ("open", ("camera_silent",))


def test_a_stay_in_doubt_keeps_nobody_inside(gate):
    lot = gate()
    session = lot.enters(0, "v1", certainty=0.5)
    lot.tracks = [standing(1, 77.0)]
    assert (lot.asks(30).answer, lot.asks(30).reasons) == ("ask", ("unpaid", "unverified"))
    lot.pays(31, session, 200)
    assert (lot.asks(32).answer, lot.asks(32).reasons) == ("open", ("paid", "unverified"))
    assert lot.asks(32).confidence == right_share(0.5)


def test_a_full_site_refuses_entry_and_counts_who_is_inside_whether_its_entry_was_seen_or_not(gate):
    lot = gate(capacity=2)
    lot.enters(0, "v1")
    before, inside = standing(3, -3.0), standing(2, 40.0)
    lot.tracks = [standing(1, 20.0), before]
    assert (lot.asks(5, "entry").answer, lot.asks(5, "entry").reasons) == ("open", ("room_inside",))
    assert lot.asks(5, "entry").vehicle == "v3"
    lot.tracks = [standing(1, 20.0), inside, before]
    assert (lot.asks(6, "entry").answer, lot.asks(6, "entry").reasons) == ("refuse", ("site_full",))


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"portal": "nowhere"}, "unknown_portal"),
        ({"portal": "exit", "direction": "in"}, "unknown_direction"),
        ({"portal": "exit", "after_s": -60}, "stale"),
        ({"portal": "exit", "after_s": 60}, "stale"),
    ],
)
def test_a_question_that_makes_no_sense_is_for_an_attendant(gate, asked, reason):
    lot = gate()
    lot.enters(0, "v1")
    lot.tracks = [standing(1, 77.0)]
    decided = lot.asks(5, **asked)
    assert (decided.answer, decided.reasons) == ("ask", (reason,))
    assert decided.expires_at <= T0 + 5 * MINUTE + 15 * SECOND


def test_an_old_question_is_answered_for_nobody_to_act_on(gate):
    decided = gate().asks(5, after_s=-60)
    assert decided.expires_at < T0 + 5 * MINUTE


def test_a_gate_that_does_not_move_is_for_an_attendant_until_it_does_again(gate):
    lot = gate()
    lot.enters(0, "v1")
    lot.tracks = [standing(1, 77.0)]
    told = [lot.tell(5, GateReported(portal="exit", state=state)) for state in ("closed", "closed", "fault")]
    assert told == [[GateChanged(portal="exit", state="closed")], [], [GateChanged(portal="exit", state="fault")]]
    assert lot.asks(5).reasons == ("gate_fault",)
    assert lot.tell(5, GateReported(portal="exit", state="open"), after_s=-9) == [], "it was so before, and is not now"
    assert lot.asks(5).reasons == ("gate_fault",)
    lot.tell(6, GateReported(portal="exit", state="closed"))
    assert lot.asks(6).answer == "open"


def test_who_decided_instead_of_the_twin_is_a_fact_also_where_the_barrier_is_as_before_or_it_comes_late(gate):
    lot = gate()
    why = {"by": "attendant", "author": "ann", "reason": "paid in cash", "asked": "o1"}
    lot.tell(5, GateReported(portal="exit", state="fault"))
    assert lot.tell(6, GateReported(portal="exit", state="fault", **why)) == [GateChanged(portal="exit", state="fault", **why)]
    late = GateReported(portal="exit", state="open", by="unreachable")
    assert lot.tell(7, late, after_s=-300) == [GateChanged(portal="exit", state="open", by="unreachable")]
    lot.enters(0, "v1")
    lot.tracks = [standing(1, 77.0)]
    assert lot.asks(7).reasons == ("gate_fault",), "what was so minutes ago is not so now"


def test_what_a_gate_does_without_the_twin_changes_nothing_that_facts_depend_on(lot):
    portals = tuple(replace(portal, if_unreachable="open") for portal in lot.portals)
    assert Fold(replace(lot, portals=portals)).config_hash == Fold(lot).config_hash


def test_what_is_known_of_gates_and_payments_is_saved_with_the_fold(gate):
    lot = gate()
    session = lot.enters(0, "v1")
    lot.tracks = [standing(1, 77.0)]
    lot.pays(30, session, 200)
    lot.tell(30, GateReported(portal="exit", state="fault"))
    again = lot.fold.unpack(lot.fold.pack(lot.state))
    assert again == lot.state


def test_before_the_first_tick_nothing_is_known(gate):
    lot = gate()
    key = DeviceKey(device="gate", boot_epoch=1, sequence=1)
    event = ObservationEvent(site="lot", key=key, occurred_at=T0, payload=LoopTripped(portal="exit"))
    _, (fact,) = lot.fold.step(lot.fold.initial(), Recorded(position=1, recorded_at=T0, event=event), None)
    decided = fact.payload
    assert (decided.answer, decided.reasons, decided.as_of_at) == ("ask", ("camera_silent",), None)
