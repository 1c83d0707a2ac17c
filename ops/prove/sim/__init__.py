"""A deterministic simulation of the service: its own code on virtual time, with faults that a seed decides."""
