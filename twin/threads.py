"""One thread for matrices: those of a search are small, and on busy cores threads wait for each other longer than they save.

OpenBLAS reads it when numpy is first imported, so that this is imported before; who sets the variable decides.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
