"""The tasks of evaler.py, a file each, the session that they share, and their registry."""
