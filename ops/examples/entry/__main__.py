"""``python -m ops.examples.entry``."""

from ops.examples.entry.cli import main

main()
