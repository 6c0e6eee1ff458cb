"""Bundles for tests of the evaluation."""

from hyperstyle_jax.weights import bundle

NUM_ITERS = 2


def save(path, nets, **directions):
    """Saves a bundle whose feature extractor reads three attributes; its path."""
    info = {"num_iters": NUM_ITERS, "attributes": ["yaw", "smile", "age"]}
    bundle.save(path, nets, info=info, directions=directions)
    return path
