"""Tables that every service has in its own schema."""
