"""Is it healthy? Keeps the history of runs and alerts, probes the services, and says so."""
