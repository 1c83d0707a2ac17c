"""What a second fusion of the same seconds says, and what it takes back."""

from twin.events.codec import to_json
from twin.events.envelope import FactEvent, RecordedFact
from twin.events.facts import FactRetracted, StallChanged, TrackletAssigned
from twin.fusion.emission import Emission
from twin.projections.naive import net_of
from twin.rules.differences import Said, corrections
from twin.rules.window import Stretch, Window


def assigned(ordinal, at, vehicle, supersedes=()):
    payload = TrackletAssigned(tracklet="t", camera="c", vehicle=vehicle)
    return FactEvent(
        site="s", fold_version="2", cause=1, ordinal=ordinal, occurred_at=at, payload=payload, supersedes=supersedes
    )


def corrected(window, conclude, cause=2):
    """The facts that a second fusion of the newest stretch publishes, and the window after it."""
    first = len(window.stretches) - 1
    said = Said(window.stretches[first].said)
    emission = Emission("s", "2", cause, lambda _: [], recall=said, renamed=window.renamed)
    conclude(emission)
    stretches = (*window.stretches[:first], Stretch(said=tuple(emission.concluded)))
    done = corrections(window, stretches, first, said.left(), emission)
    return list(done.facts), done.window


def test_what_a_withdrawn_fact_had_superseded_is_true_again_and_can_be_superseded_again():
    former = assigned(0, 10, "v1")
    wrong = assigned(1, 20, "v2", (former.id,))
    window = Window(stretches=(Stretch(said=(wrong,)),), kept={former.id: former})
    (again, retraction), window = corrected(window, lambda emission: None)
    assert (again.occurred_at, again.payload) == (10, former.payload)
    assert retraction.supersedes == (wrong.id,)
    facts, window = corrected(window, lambda emission: emission.emit(30, wrong.payload, supersedes=(former.id,)), 3)
    assert [fact.supersedes for fact in facts] == [(again.id,)], "the state still knows it by its former id"
    everything = [
        RecordedFact(position=n, recorded_at=0, event=one)
        for n, one in enumerate([former, wrong, again, retraction, *facts], 1)
    ]
    assert [(fact.event.occurred_at, fact.event.payload.vehicle) for fact in net_of(everything) if fact.position != 4] == [
        (30, "v2")
    ]


def test_what_is_said_no_more_is_retracted_about_its_subject():
    taken = FactEvent(
        site="s",
        fold_version="2",
        cause=1,
        ordinal=0,
        occurred_at=5,
        payload=StallChanged(stall="a", state="occupied", vehicle="v"),
    )
    (retraction,), _ = corrected(Window(stretches=(Stretch(said=(taken,)),)), lambda emission: None)
    assert retraction.payload == FactRetracted(kind="stall.changed.v1", reason="late_data", stall="a")
    assert retraction.supersedes == (taken.id,)
    assert b'"subject":"a"' in to_json(retraction)
