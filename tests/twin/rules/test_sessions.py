"""Stays of vehicles that turn out to be one."""

import pytest

from site_models.schema import Portal
from twin.events.envelope import FactEvent
from twin.events.facts import IdentitiesMerged, PortalCrossed, SessionAmended, SessionClosed, SessionOpened
from twin.rules.sessions import Sessions, SessionsState

T0, MINUTE = 1_767_268_800_000_000, 60_000_000


class Story:
    """Facts to one site's rules, and what they answer."""

    def __init__(self, lot):
        self.rules = Sessions(lot, SessionsState())
        self.gate = next(portal for portal in lot.portals if portal.role == "boundary")
        self.n = 0

    def tell(self, minute, payload):
        self.n += 1
        at = T0 + minute * MINUTE
        event = FactEvent(site="lot", fold_version="2", cause=self.n, ordinal=0, occurred_at=at, payload=payload)
        return [fact for _, fact in self.rules.react(event)]

    def cross(self, minute, vehicle, direction):
        return self.tell(
            minute,
            PortalCrossed(vehicle=vehicle, portal=self.gate.id, direction=direction, position_m=(0.0, 0.0), speed_mps=3.0),
        )

    def merge(self, minute, vehicle, merged):
        return self.tell(minute, IdentitiesMerged(vehicle=vehicle, merged=merged, level="ground", position_m=(0.0, 0.0)))


@pytest.fixture
def story(lot):
    assert any(isinstance(portal, Portal) for portal in lot.portals)
    return Story(lot)


def test_of_two_stays_of_one_vehicle_the_first_is_it_and_the_other_is_void(story):
    (first,) = story.cross(0, "a", "in")
    (second,) = story.cross(1, "b", "in")
    void, kept = story.merge(2, "a", "b")
    assert (void.session, void.status, void.version) == (second.session, "void", 2)
    assert (kept.session, kept.status, kept.version, kept.vehicle) == (first.session, "open", 2, "a")
    assert {"ambiguous_identity", "unverified"} <= set(kept.flags)
    (closed,) = story.cross(9, "a", "out")
    assert isinstance(closed, SessionClosed)
    assert (closed.session, closed.entry_at, closed.exit_at) == (first.session, T0, T0 + 9 * MINUTE)


def test_the_earlier_entry_counts_whoever_keeps_the_name(story):
    story.cross(1, "a", "in")
    (earlier,) = story.cross(0, "b", "in")
    void, kept = story.merge(2, "a", "b")
    assert (kept.session, kept.vehicle, kept.entry_at) == (earlier.session, "a", T0)
    assert void.status == "void"


def test_a_stay_of_the_merged_one_goes_on_under_the_kept_name(story):
    (opened,) = story.cross(0, "b", "in")
    assert isinstance(opened, SessionOpened)
    (amended,) = story.merge(2, "a", "b")
    assert isinstance(amended, SessionAmended)
    assert (amended.session, amended.vehicle, amended.status) == (opened.session, "a", "open")
    (closed,) = story.cross(5, "a", "out")
    assert (closed.session, closed.version) == (opened.session, 3)


def test_a_merge_without_stays_says_nothing_of_stays(story):
    assert story.merge(2, "a", "b") == []
