"""All SQL of the registry, a module per aggregate."""
