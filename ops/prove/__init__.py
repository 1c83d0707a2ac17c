"""The proofs behind ``twin prove``: each promise's is a module of its name with ``prove(runs, seed)``."""
