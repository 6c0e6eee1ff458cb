"""Data sets: found, divided into splits, stored in shards, read in batches."""
