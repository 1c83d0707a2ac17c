"""Which device a training runs on, and what is said where there is none of that name."""

import pytest

from twin.errors import BadInput

torch = pytest.importorskip("torch")

from perception.training.device import PROCESSOR, described, has_bfloat16, training_device  # noqa: E402


def test_auto_is_a_gpu_where_there_is_one_and_else_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert training_device("auto") == PROCESSOR
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert training_device("auto").type == "cuda"


def test_a_gpu_that_is_not_there_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert training_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(BadInput, match=r"--device cuda:1, but torch .* finds 1 GPUs here; give --device cpu"):
        training_device("cuda:1")


@pytest.mark.parametrize("name", ["banana", "meta", "cuda:x"])
def test_other_names_are_refused(name):
    with pytest.raises(BadInput, match="give auto, cpu, cuda or cuda:1"):
        training_device(name)


def test_the_card_says_what_it_ran_on():
    assert described(PROCESSOR, 1) == "one thread of a CPU"
    assert described(PROCESSOR, 2) == "2 threads of a CPU"


@pytest.mark.parametrize(("avx512", "amx"), [(False, False), (True, False), (False, True)])
def test_a_processor_has_bfloat16_by_one_of_two_kinds_of_instructions(monkeypatch, avx512, amx):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert has_bfloat16(PROCESSOR) is (avx512 or amx)
