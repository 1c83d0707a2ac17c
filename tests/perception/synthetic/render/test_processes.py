"""Rendering in several processes: what becomes of them when the command that began them is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SLEEPS = """
import time
from perception.synthetic.render.processes import in_processes

if __name__ == "__main__":
    in_processes(time.sleep, [(600,), (600,)], 2)
"""


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ends_within(seconds: float, pids: list[int]) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists(), reason="no /proc with children")
def test_a_command_that_is_killed_leaves_no_process_behind(tmp_path):
    script = tmp_path / "sleeps.py"
    script.write_text(SLEEPS)
    command = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        until = time.monotonic() + 60
        while len(found := children(command.pid)) < 3 and time.monotonic() < until:  # two, and the tracker of semaphores
            time.sleep(0.1)
        time.sleep(1.0)  # until they have begun
        command.send_signal(signal.SIGKILL)
        assert ends_within(20, found)
    finally:
        command.kill()
        command.wait()
