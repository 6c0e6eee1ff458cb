"""Programs that measure inversions and edits, and print tables."""
