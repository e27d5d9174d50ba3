"""Fixtures for every test of the repository."""

pytest_plugins = ["heimnetz_common.testing"]
