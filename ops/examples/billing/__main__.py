"""``python -m ops.examples.billing``."""

from ops.examples.billing.cli import main

main()
