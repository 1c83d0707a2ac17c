"""How good fusion is on seeds and sites that nobody tuned it on: simulated, fused, scored, beside the goals.

    python -m ops.bench.fusion_quality --scene overlap --scene gaps --hours 2 --seeds 10

Runs are kept under ``--out``: what is finished is not run again, unless the code that it rests on has changed.
"""
