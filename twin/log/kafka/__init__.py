"""Observations in a topic of a Kafka broker; facts, cursors and everything else stay in SQL."""
