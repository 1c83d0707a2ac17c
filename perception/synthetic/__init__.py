"""Simulated traffic and sensors with known ground truth: for the demo, the tests and the benchmarks."""
