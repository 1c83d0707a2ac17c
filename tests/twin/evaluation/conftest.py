"""The tests of scores share ``written_runs.py``: small runs, written by hand."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
