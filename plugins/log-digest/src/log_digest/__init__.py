"""A log in; errors, top talkers and unusual lines out."""
