"""`hyperstyle generate` draws random images with a bundle's generator."""

import math
from pathlib import Path

from hyperstyle_jax.cli.seeds import parse_seeds
from hyperstyle_jax.system import folder_lock

_BATCH = 8


def add_commands(commands):
    """Adds `hyperstyle generate`."""
    parser = commands.add_parser(
        "generate",
        help="draw random images with a generator",
        description="Draws images with a bundle's generator. Writes seed_SEED.png, "
        "seed_SEED.npz (for `hyperstyle edit`) and grid.png.",
    )
    parser.add_argument(
        "--seeds", type=parse_seeds, required=True, help="e.g. 0-15 or 3,7,20-25"
    )
    parser.add_argument("--model", default="demo", help="bundle (default: demo)")
    parser.add_argument(
        "--truncation",
        type=float,
        default=0.7,
        metavar="PSI",
        help="1 is the full variety, 0 the mean image (default 0.7)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("generated"), help="folder (default generated)"
    )
    parser.set_defaults(run=run)


def run(args):
    """Draws the images; the folder is held meanwhile."""
    with folder_lock.hold(args.out):
        _run(args)


def _run(args):
    from tqdm import tqdm

    from hyperstyle_jax import images
    from hyperstyle_jax.inversion import storage
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.weights import bundle

    compilation_cache.enable()
    model = bundle.load(args.model)
    (generator,) = model.require("generator")
    shown = []
    with tqdm(total=len(args.seeds), unit="image", disable=None) as progress:
        for seeds, inversion, drawn in _draw(generator, args.seeds, args.truncation):
            for i, seed in enumerate(seeds):
                stem = args.out / f"seed_{seed:04d}"
                images.save_png(f"{stem}.png", drawn[i])
                storage.save(f"{stem}.npz", inversion, i, model)
                if len(shown) < 64:
                    shown.append(images.to_uint8(drawn[i]))
            progress.update(len(seeds))
    columns = math.ceil(len(shown) ** 0.5)
    rows = [shown[i : i + columns] for i in range(0, len(shown), columns)]
    scale = max(1, 128 // generator.module.resolution)
    images.save_png(args.out / "grid.png", images.grid(rows, scale=scale))
    print(f"{len(args.seeds)} images in {args.out}; an overview: grid.png")


def _draw(generator, seeds, psi):
    """Yields seeds, inversions and images; all batches have the size of one program."""
    import jax
    import numpy as np

    from hyperstyle_jax.editing.latents import gaussian_of_seed
    from hyperstyle_jax.offsets import latent_only

    @jax.jit
    def draw(generator, z):
        w = generator(generator(z, method="mapping"), psi, method="truncate")
        return w, generator(w, method="synthesis")

    size = min(_BATCH, len(seeds))
    for start in range(0, len(seeds), size):
        batch = seeds[start : start + size]
        z = np.stack([gaussian_of_seed(s, generator.module.z_dim) for s in batch])
        z = np.pad(z, ((0, size - len(batch)), (0, 0)))
        w, image = jax.device_get(draw(generator, z))
        yield batch, latent_only(w, generator.module.num_ws), image
