"""Runs on disk: offline fusion, run directories, and (later) their scores."""
