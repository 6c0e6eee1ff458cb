"""HyperStyle in JAX."""
