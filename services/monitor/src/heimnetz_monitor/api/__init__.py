"""The monitor's HTTP edge."""
