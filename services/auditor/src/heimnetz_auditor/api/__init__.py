"""The auditor's HTTP edge."""
