"""Checks of StyleGAN2's projector, as NVIDIA and PTI released it."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.inversion import closeness, projector
from hyperstyle_jax.net import Net
from hyperstyle_jax.parity.case import Case, convert, nchw
from hyperstyle_jax.parity.check import Output

# Name in the fixture: (samples of z, learning rate, which tolerances). The larger the
# steps, the farther rounding leads: the release itself is off by 0.1 in the last.
_RUNS = {
    "pti": (600, 0.01, ""),
    "pti_wplus": (600, 0.01, "wide "),
    "ada": (10_000, 0.1, "rough "),
}


def projection(case: Case) -> Iterator[Output]:
    """Every step of the three projectors."""
    generator = convert({"G_ema": case.tensors(case.specs[0])})["generator"]
    targets = closeness.targets(lpips(case), case.image("target"))
    for name, run in _RUNS.items():
        yield from _run(case, generator, targets, name, *run)


def lpips(case: Case) -> Net:
    """The LPIPS network of a fixture, the second of its specs."""
    return convert(case.tensors(case.specs[1]))["lpips"]


def _run(case, generator, targets, name, samples, lr, kind) -> Iterator[Output]:
    start = projector.statistics(generator, samples)
    steps = case.meta["config"]["steps"]
    draws = _draws(case, generator, steps, name == "pti_wplus")
    result = projector.project(
        generator, distance, targets, 1, targets.x.shape[1:3], start, draws, lr
    )
    rates = [projector.learning_rate(lr, step, steps) for step in range(steps)]
    loss = result.distances + 1e5 * result.regularizers
    values = {"w_avg": start.mean, "w_std": start.std, "lr": np.array(rates)}
    values |= {"noise_reg": result.regularizers[:, 0]}
    maps = {f"noise.{_official(k)}": v[0] for k, v in result.maps.items()}
    yield from _outputs(case, name, values | maps, "step")
    yield from _outputs(case, name, {"loss": loss[:, 0]}, "relative")
    distances = {"dist": result.distances[:, 0]}
    yield from _outputs(case, name, distances, f"{kind}distance")
    path = result.path[:, 0]
    latents = {"w": path if path.shape[1] > 1 else path[:, 0], "w.last": path[-1]}
    size = targets.x.shape[1:3]
    for key, noise in (("image", "const"), ("image.tuned_noise", result.maps)):
        latents[key] = nchw(projector.render(generator, result.w, noise, size))
    yield from _outputs(case, name, latents, f"{kind}search")


def _outputs(case, name, values, kind):
    yield from case.outputs({f"{name}.{k}": v for k, v in values.items()}, kind)


def distance(targets, y):
    """LPIPS alone."""
    return closeness.distances(targets, y)[1]


def _draws(case, generator, steps, is_w_plus) -> projector.Draws:
    """The fixture's random numbers."""
    rows, dim = generator.module.num_ws if is_w_plus else 1, generator.module.w_dim
    plain = projector.draw(generator, steps, rows)
    maps = {
        name: jnp.asarray(case.unit(f"projector.noise.{_official(name)}", v.shape))
        for name, v in plain.maps.items()
    }
    keys = [f"projector.w_noise.{step}" for step in range(steps)]
    latents = np.stack([case.unit(key, (1, rows, dim))[0] for key in keys])
    return projector.Draws(maps, jnp.asarray(latents))


def _official(layer: str) -> str:
    return f"{layer.replace('/', '.')}.noise_const"
