"""Folds of the fact log: the site at any time, sessions, occupancy, histories."""
