"""The service holds to its own description: requests made from it, good and bad, get the answers that it promises.

``CONTRACT_EXAMPLES`` is how many requests are made for each operation in each phase, beside those for the limits of every
value; ``CONTRACT_SEED`` which ones.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest

EXAMPLES = os.environ.get("CONTRACT_EXAMPLES", "3")
SEED = os.environ.get("CONTRACT_SEED", "1")


@pytest.mark.timeout(900)
def test_the_service_holds_to_its_description(lived_in, tmp_path):
    program = shutil.which("schemathesis", path=os.path.dirname(sys.executable)) or "schemathesis"
    command = [program, "run", f"{lived_in}/openapi.json", "--checks", "all", "--max-examples", EXAMPLES, "--seed", SEED]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=850)
    (tmp_path / "told.txt").write_text(done.stdout)
    told = done.stdout[-12_000:]
    assert done.returncode == 0, told
    n_made = int(re.search(r"(\d+) generated", done.stdout)[1])
    assert n_made >= 30 * int(EXAMPLES), told
