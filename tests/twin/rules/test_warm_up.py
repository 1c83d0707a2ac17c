"""What a service does before it answers: its kernels are compiled."""

import subprocess
import sys

import pytest

pytest.importorskip("numba", reason="kernels are compiled by numba")

_ASKED = """
import sys
from twin.rules.warm_up import warm_up
warm_up()
from numba.core.registry import CPUDispatcher
kernels = {
    (name, key): value
    for name, module in list(sys.modules.items()) if name.startswith("twin.")
    for key, value in vars(module).items() if isinstance(value, CPUDispatcher) and value.py_func.__module__ == name
}
inner = {(name, called) for (name, _), kernel in kernels.items() for called in kernel.py_func.__code__.co_names}
print(len(kernels), *sorted(".".join(at) for at, kernel in kernels.items() if not kernel.signatures and at not in inner))
"""


def test_after_it_every_kernel_of_the_fold_is_compiled():
    """Those that only other kernels call are part of these."""
    run = subprocess.run([sys.executable, "-c", _ASKED], capture_output=True, text=True, check=True, timeout=120)
    n_kernels, *not_compiled = run.stdout.split()
    assert int(n_kernels) > 10
    assert not_compiled == []
