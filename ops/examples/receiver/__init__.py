"""A receiver of webhooks beside the twin: what is signed is stored before it is answered, and each stay's row is its latest."""
