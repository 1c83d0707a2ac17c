"""What a user would take instead: a plain Kalman tracker on the ground, from Stone Soup (MIT), and nearest-neighbour hand-over.

It reads the same observations, places boxes by the same calibration, and writes the same tables. It knows nothing of clocks
that are off, late data, looks, tracklets or the map's stalls, and decides once.
"""
