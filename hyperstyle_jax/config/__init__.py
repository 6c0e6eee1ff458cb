"""The configuration of a run: its fields with their defaults, checks, reading."""
