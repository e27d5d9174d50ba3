"""All SQL of the sandbox, a module per noun."""
