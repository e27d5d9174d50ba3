"""The HTTP edge of docs-gen."""
