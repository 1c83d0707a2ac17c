"""How the tests are shared out among processes."""

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from tests.e2e.while_used import WhileUsed
from tests.sharing_out import LONG, SINGLY, TOGETHER, group_of, in_order

HERE = Path(__file__).parent


def test_every_file_and_test_that_is_named_is_there():
    for name in (*SINGLY, *LONG, *(name for names in TOGETHER.values() for name in names)):
        file, _, test = name.partition("::")
        found = [path for path in HERE.rglob(f"{file}.py") if f"def {test}" in path.read_text()]
        assert len(found) == 1, name


def test_a_test_stays_with_its_service_or_its_file_unless_it_is_named_itself():
    assert group_of("tests/e2e/test_map_page.py::test_a[x::y]") == "traffic"
    assert group_of("tests/e2e/test_explore_page.py::test_b") == "tests/e2e/test_explore_page.py"
    named = "tests/e2e/test_explore_page.py::test_sightings_without_pictures_have_placeholders"
    assert group_of(named) == group_of(f"{named}[a]") == "traffic"
    assert group_of("tests/twin/evaluation/test_proofs.py::test_a[G1]") == "tests/twin/evaluation/test_proofs.py::test_a[G1]"
    assert group_of("tests/ops/examples/test_receiver.py::test_a") == "tests/ops/examples/test_receiver.py"


def test_groups_begin_in_the_order_of_the_table_then_by_size_and_none_is_torn():
    names = ["a/x.py::1", "e2e/test_map_page.py::1", "b/y.py::1", "b/y.py::2", "tests/system/test_docs.py::1"]
    names += ["e2e/test_docs_page.py::1", "tests/system/test_contract.py::1", "tests/system/test_consumers.py::2"]
    assert in_order(names, str) == [
        "tests/system/test_consumers.py::2",
        "tests/system/test_docs.py::1",
        "tests/system/test_contract.py::1",
        "e2e/test_map_page.py::1",
        "e2e/test_docs_page.py::1",
        "b/y.py::1",
        "b/y.py::2",
        "a/x.py::1",
    ]


def test_what_is_kept_ends_with_the_last_test_that_uses_it_and_only_once():
    told = []

    @contextmanager
    def opened():
        yield "here"
        told.append("closed")

    tests = [SimpleNamespace(fixturenames=names) for names in (["a"], ["a", "b"], ["a"], ["b"])]
    one = WhileUsed()
    one.count(tests)
    with one.kept("a", opened()) as given:
        assert given == "here"
        for test, closed in zip(tests, ([], [], ["closed"], ["closed"]), strict=True):
            one.ended(test)
            assert told == closed
    assert told == ["closed"]
