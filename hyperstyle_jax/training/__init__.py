"""The training tasks, from the config of a run to its exported networks."""
