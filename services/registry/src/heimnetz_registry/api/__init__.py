"""HTTP edge of the registry: a module per resource."""
