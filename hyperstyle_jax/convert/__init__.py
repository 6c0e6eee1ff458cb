"""Converts official weights into networks and edit directions, and back."""
