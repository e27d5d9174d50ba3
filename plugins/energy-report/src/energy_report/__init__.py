"""Smart-meter readings in; statistics and charts out."""
