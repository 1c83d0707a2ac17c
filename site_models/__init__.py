"""Sites: levels, zones, stalls, lanes, portals, landmarks and cameras on one map, in metres."""
