"""What exists and who may do what: packages, versions and their states, installations, access."""
