"""Runs plugins: each call in a container of its own, with every cap, and nothing to reach.

Runs are queued in PostgreSQL and taken with a lease, so that a run survives every crash, and a
second sandbox can help. Only the engine proxy reaches the container engine.
"""
