"""Facts as rows of a run's tables, by hand."""

import pyarrow.parquet as pq
from written_runs import START, at

from twin.evaluation.run_directory import Tables
from twin.events.envelope import FactEvent
from twin.events.facts import IdentitiesMerged, VehicleConfirmed, VehicleLeft, VehicleMoved

PLACE = {"level": "ground", "covariance_m2": (0.1, 0.0, 0.1)}


def told(cause, seconds, payload, supersedes=()):
    return FactEvent(
        site="lot",
        fold_version="2",
        cause=cause,
        ordinal=0,
        occurred_at=at(seconds),
        payload=payload,
        supersedes=supersedes,
    )


def confirmed(cause, seconds):
    return told(cause, seconds, VehicleConfirmed(vehicle="v", kind="car", position_m=(0.0, 0.0), **PLACE))


def moved(cause, seconds, x_m=0.0):
    return told(cause, seconds, VehicleMoved(vehicle="v", position_m=(x_m, 0.0), velocity_mps=(1.0, 0.0), **PLACE))


def left(cause, seconds, *supersedes):
    return told(cause, seconds, VehicleLeft(vehicle="v", portal="out"), supersedes)


def rows(tmp_path, *facts):
    tables = Tables()
    for fact in facts:
        tables.add(fact)
    tables.write(tmp_path)
    read = pq.read_table(tmp_path / "tracks.parquet").to_pylist()
    return [((row["t"] - START) / 1e6, row["state"]) for row in read]


def test_what_was_told_of_a_time_after_an_exit_that_was_found_later_does_not_count(tmp_path):
    # The crossing at 5.4 s is found once the vehicle is well across, when 5.5 s was told already.
    assert rows(tmp_path, confirmed(1, 1), moved(2, 5), moved(3, 5.5), left(4, 5.4)) == [
        (1, "moving"),
        (5, "moving"),
        (5.4, "left"),
    ]


def test_an_exit_that_is_told_anew_is_still_the_end(tmp_path):
    first = left(4, 5.4)
    facts = [confirmed(1, 1), moved(3, 5.5), first, left(9, 5.3, first.id), moved(10, 5.6)]
    assert rows(tmp_path, *facts) == [(1, "moving"), (5.3, "left")]


def test_a_vehicle_that_is_confirmed_anew_is_there_again(tmp_path):
    facts = [confirmed(1, 1), left(2, 5), confirmed(3, 60), moved(4, 61)]
    assert rows(tmp_path, *facts) == [(1, "moving"), (5, "left"), (60, "moving"), (61, "moving")]


def test_a_vehicle_whose_confirmation_was_taken_back_was_none(tmp_path):
    first = confirmed(1, 1)
    one_of_two = told(3, 6, IdentitiesMerged(vehicle="w", merged="v"), (first.id,))
    assert rows(tmp_path, first, moved(2, 5), one_of_two) == []
    tables = Tables()
    for fact in (first, moved(2, 5)):
        tables.add(fact)
    assert tables.n_vehicles == 1
    tables.add(one_of_two)
    assert tables.n_vehicles == 0
