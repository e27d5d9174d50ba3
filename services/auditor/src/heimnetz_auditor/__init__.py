"""May this be trusted? Audits every submitted version, and says what was found."""
