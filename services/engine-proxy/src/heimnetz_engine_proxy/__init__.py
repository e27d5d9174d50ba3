"""Stands before the container engine and refuses what no plugin container may have.

It reads every request, builds a new one from what it understood, and passes only that on. The
rules are an allow-list: what they do not name is refused.
"""
