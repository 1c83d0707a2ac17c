import math

import pytest
from msgspec.structs import replace

from perception.synthetic.demand import DEMO
from perception.synthetic.traffic import Traffic
from perception.synthetic.truth import FRAME, TruthFrame, VehicleState, Visit
from perception.synthetic.truth_checks import truth_faults
from perception.synthetic.vehicles import Vehicle
from site_models.load import load_site, resolve
from twin.events.ids import SECOND


def _vehicle(name, body="hatchback"):  # 4.28 m x 1.79 m
    return Vehicle(id=name, body=body, look=1, plate="ABC-1000", pace=1.0)


def _state(name, x, y=0.0, *, heading=0.0, level="ground", stall=None):
    return VehicleState(
        vehicle=_vehicle(name),
        level=level,
        x_m=x,
        y_m=y,
        heading_deg=heading,
        speed_mps=0.0,
        stall=stall,
        state="parked" if stall else "moving",
    )


def _frames(*moments):
    return [TruthFrame(at=number * FRAME, vehicles=tuple(states)) for number, states in enumerate(moments)]


def _stay(name, entry_at, exit_at):
    return Visit(vehicle=_vehicle(name), entry_at=entry_at, exit_at=exit_at)


def _kinds(frames, ended=(), going_on=()):
    return [(fault.kind, fault.at, fault.vehicles) for fault in truth_faults(frames, ended, going_on)]


def test_a_vehicle_that_comes_drives_and_goes_has_no_fault():
    frames = _frames([], *([_state("a", 2.9 * step)] for step in range(4)), [])
    assert _kinds(frames, [_stay("a", 150_000, 350_000)]) == []


def test_a_jump_of_more_than_three_metres_between_frames_is_a_teleport():
    frames = _frames([_state("a", 0.0)], [_state("a", 2.99)], [_state("a", 6.0)])
    (fault,) = truth_faults(frames, [], [_stay("a", None, None)])
    assert (fault.kind, fault.at, fault.vehicles) == ("teleport", 2 * FRAME, ("a",))
    assert fault.value == pytest.approx(30.1)
    assert "3.01 m" in str(fault)


def test_a_teleport_is_by_time_not_by_frame():
    near, far = TruthFrame(at=0, vehicles=(_state("a", 0.0),)), TruthFrame(at=SECOND, vehicles=(_state("a", 20.0),))
    assert _kinds([near, far], going_on=[_stay("a", None, None)]) == []


def test_a_vehicle_that_turns_on_the_spot_spins_and_one_that_passes_180_degrees_does_not():
    frames = _frames([_state("a", 0.0)], [_state("a", 0.0, heading=40.0)])
    assert _kinds(frames, going_on=[_stay("a", None, None)]) == [("spin", FRAME, ("a",))]
    frames = _frames([_state("a", 0.0, heading=179.0)], [_state("a", 0.0, heading=-179.0)])
    assert _kinds(frames, going_on=[_stay("a", None, None)]) == []


def test_an_overlap_is_found_once_for_as_long_as_it_lasts():
    both = [_stay("a", None, None), _stay("b", None, None)]
    apart, touching = [_state("a", 0.0), _state("b", 4.3)], [_state("a", 0.0), _state("b", 4.25)]
    (fault,) = truth_faults(_frames(apart, touching, touching), [], both)
    assert (fault.kind, fault.at, fault.vehicles) == ("overlap", FRAME, ("a", "b"))
    assert fault.value == pytest.approx(4.25)
    assert [fault.at for fault in truth_faults(_frames(touching, apart, touching), [], both)] == [0, 2 * FRAME]


def test_vehicles_beside_each_other_overlap_only_when_turned_or_on_one_level():
    both = [_stay("a", None, None), _stay("b", None, None)]
    assert _kinds(_frames([_state("a", 0.0), _state("b", 0.0, 2.5)]), going_on=both) == []
    assert len(_kinds(_frames([_state("a", 0.0), _state("b", 0.0, 2.5, heading=90.0)]), going_on=both)) == 1
    assert _kinds(_frames([_state("a", 0.0), _state("b", 0.0, level="upper")]), going_on=both) == []


def test_two_vehicles_in_one_stall_are_a_fault_also_when_they_do_not_touch():
    both = [_stay("a", None, None), _stay("b", None, None)]
    frames = _frames(*[[_state("a", 0.0, stall="s1"), _state("b", 5.0, stall="s1")]] * 2)
    assert _kinds(frames, going_on=both) == [("shared stall", 0, ("a", "b"))]


def test_a_parked_vehicle_that_creeps_is_a_fault():
    frames = _frames([_state("a", 0.0, stall="s1")], [_state("a", 0.01, stall="s1")])
    assert _kinds(frames, going_on=[_stay("a", None, None)]) == [("parked and moving", FRAME, ("a",))]


@pytest.mark.parametrize(
    ("ended", "going_on", "why"),
    [
        ([], [], "no visit"),
        ([_stay("a", 150_000, None)], [], "without an exit"),
        ([_stay("a", None, 350_000)], [], "not there in the first frame"),
        ([_stay("a", 250_000, 150_000)], [], "before it entered"),
        ([_stay("a", 0, 350_000)], [], "entered while it was not there"),
        ([_stay("a", 150_000, 900_000)], [], "left while it was not there"),
        ([], [_stay("a", 150_000, None)], "the vehicle is gone"),
        ([_stay("a", 150_000, 350_000)] * 2, [], "more than one visit"),
        ([_stay("a", 150_000, 350_000), _stay("b", 150_000, 350_000)], [], "in no frame"),
    ],
)
def test_a_stay_needs_an_entry_and_an_exit_while_the_vehicle_is_there(ended, going_on, why):
    frames = _frames([], *([_state("a", float(step))] for step in range(4)), [])
    faults = truth_faults(frames, ended, going_on)
    assert {fault.kind for fault in faults} == {"unbounded stay"}
    assert any(why in fault.explanation for fault in faults)


def test_who_is_there_at_the_first_or_the_last_frame_needs_no_entry_or_exit():
    frames = _frames(*([_state("a", 0.0, stall="s1")] for _ in range(3)))
    assert _kinds(frames, going_on=[_stay("a", None, None)]) == []


def test_our_own_traffic_has_no_fault_until_one_is_made(start_at):
    traffic = Traffic(load_site(resolve("demo_lot")), 1, start_at, DEMO)
    frames = list(traffic.frames(start_at + 300 * SECOND))
    ended, going_on = traffic.take_visits(), traffic.open_visits()
    assert ended
    assert truth_faults(frames, ended, going_on) == []
    at, moving = next(
        (number, state)
        for number, frame in enumerate(frames[1:], 1)
        for state in frame.vehicles
        if _is_seen(frames, number, state)
    )
    others = [state for state in frames[at].vehicles if state is not moving]
    parked = next(state for state in others if state.state == "parked")
    onto = replace(moving, x_m=parked.x_m, y_m=parked.y_m)
    frames[at] = replace(frames[at], vehicles=tuple(sorted([*others, onto], key=lambda state: state.vehicle.id)))
    assert math.hypot(parked.x_m - moving.x_m, parked.y_m - moving.y_m) > 3.0
    faults = truth_faults(frames, ended, going_on)
    assert {fault.kind for fault in faults} == {"overlap", "teleport"}
    assert all(moving.vehicle.id in fault.vehicles for fault in faults)


def _is_seen(frames, number, state):
    """Whether it moves now and was there before."""
    return state.state == "moving" and any(one.vehicle.id == state.vehicle.id for one in frames[number - 1].vehicles)
