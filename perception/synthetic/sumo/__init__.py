"""Traffic from Eclipse SUMO (EPL-2.0, optional): a second source of ground truth, driven by other people's models."""
