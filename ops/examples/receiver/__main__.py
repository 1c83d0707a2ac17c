"""``python -m ops.examples.receiver``."""

from ops.examples.receiver.cli import main

main()
