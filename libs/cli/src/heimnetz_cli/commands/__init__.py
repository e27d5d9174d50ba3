"""A module per kind of errand; each adds its commands to an app."""
