import pytest

from perception.class_names import COCO, kinds_of, parse_names


def test_coco_has_five_vehicle_classes():
    kinds = kinds_of(COCO)
    assert len(COCO) == 80
    assert {name: kind for name, kind in zip(COCO, kinds, strict=True) if kind} == {
        "bicycle": "bicycle",
        "car": "car",
        "motorcycle": "motorcycle",
        "bus": "bus",
        "truck": "truck",
    }


def test_names_are_read_as_exporters_write_them():
    assert parse_names("{0: 'person', 1: 'bicycle'}") == ("person", "bicycle")
    assert parse_names("['car', 'van']") == ("car", "van")


@pytest.mark.parametrize("text", ["", "{1: 'car'}", "{0: 1}", "[]", "__import__('os')", "car, van", "(" * 5000])
def test_what_is_no_list_of_names_gives_none(text):
    assert parse_names(text) is None
