"""Measures the speed and the memory of the networks and of training."""
