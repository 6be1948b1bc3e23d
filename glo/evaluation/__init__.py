"""The tasks of evaler.py, one module each, their registry, and the session that they share."""
