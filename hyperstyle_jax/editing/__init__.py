"""Edits of inversions, and ways to find directions for them."""
