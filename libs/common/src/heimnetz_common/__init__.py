"""Plumbing that the services share. It holds no business rule."""
