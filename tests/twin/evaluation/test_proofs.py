"""Every proof, short; and what its verdicts mean."""

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

from twin.errors import BadInput
from twin.evaluation.proofs import Control, Proof, module, promises, prove

ROOT = Path(__file__).parents[3]
DOCS = (ROOT / "ops/docs/proofs.md").read_text()


SHORT = {"G1": 40, "G3": 1, "G4": 20, "G8": 2, "G9": 2, "G10": 20, "G13": 12, "INVARIANTS": 3, "PLANTED": 3, "SIMULATION": 4}
"""Fewer runs than `twin prove` makes when it is not told how many: these come with every change."""


@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("promise", promises())
def test_a_promise_holds_and_its_control_is_refuted(promise):
    proof = prove(promise, SHORT.get(promise), seed=1)
    gc.collect()  # sockets of senders that a proof killed are left open, as a killed process leaves them: not to the next test
    assert not proof.failures, proof.failures
    assert proof.control.violations > 0
    assert (proof.ok, proof.exit_code) == (True, 0)


@pytest.mark.parametrize("promise", promises())
def test_a_proof_is_documented_with_its_control(promise):
    assert f"| {promise} |" in DOCS


@pytest.mark.parametrize(("violations", "control", "exit_code"), [(0, 3, 0), (1, 3, 1), (1, 0, 1), (0, 0, 2)])
def test_the_exit_code_tells_a_refuted_promise_from_a_broken_proof(violations, control, exit_code):
    proof = Proof(
        promise="G1",
        runs=10,
        seed=1,
        seconds=0.1,
        violations=violations,
        control=Control(name="none", violations=control),
        failures=(),
        ok=False,
    )
    assert proof.exit_code == exit_code


def _folder(tmp_path, failing, control):
    folder = tmp_path / "prove"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "g99.py").write_text(
        "from types import SimpleNamespace as O\nRUNS, FULL_RUNS = 2, 8\n\n\ndef prove(runs, seed):\n"
        f"    found = [O(seed=seed + one, what='lost') for one in range(runs) if one in {failing!r}]\n"
        f"    return O(runs=runs, failures=found, control='nothing', control_failures={control})\n"
    )
    return folder


def test_a_failure_names_the_one_line_that_replays_it(tmp_path, monkeypatch):
    monkeypatch.setattr("twin.evaluation.proofs._PACKAGE", "proof_of_a_test")
    folder = _folder(tmp_path, failing=(1,), control=4)
    proof = prove("g99", None, seed=7, folder=folder)
    assert (proof.runs, proof.violations, proof.ok) == (2, 1, False)
    assert [one.replay for one in proof.failures] == ["twin prove G99 --runs 1 --seed 8"]
    assert prove("G99", None, seed=7, is_full=True, folder=folder).runs == 8


def test_an_unknown_promise_is_named_with_those_there_are(tmp_path):
    with pytest.raises(BadInput, match="'G98' has no proof here; use one of G99"):
        module("G98", _folder(tmp_path, (), 1))
    with pytest.raises(BadInput, match="come with a checkout"):
        module("G1", tmp_path / "empty")


def test_the_command_prints_one_verdict_a_line():
    command = [sys.executable, "-m", "twin.cli", "prove", "G2", "g2", "--runs", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    first, _ = map(json.loads, done.stdout.splitlines())
    assert (first["schema"], first["promise"], first["runs"], first["ok"]) == ("twin.prove/1", "G2", 1, True)
    assert set(first) == {"schema", "promise", "runs", "seed", "seconds", "violations", "control", "failures", "ok"}
    refused = subprocess.run([*command[:4], "G77"], capture_output=True, text=True, cwd=ROOT)
    assert refused.returncode == 1
    assert "promise 'G77' has no proof here" in refused.stderr
