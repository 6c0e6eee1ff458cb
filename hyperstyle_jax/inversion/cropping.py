"""Crops and averages the square images of a generator to the size of other networks."""

import jax


def crop_and_pool(image: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Makes the hypernetwork's input of a square image.

    Args:
        image: [B, R, R, C].
        size: (h, w) of the result; its aspect ratio decides which rows are used.

    Returns:
        [B, h, w, C].
    """
    return block_mean(middle_rows(image, size), size)


def middle_rows(image: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """The middle rows of an image, so many that it has the aspect ratio of `size`.

    Domains whose images are wider than high, as cars, use these rows of a square image.

    Args:
        image: [B, H, W, C].
        size: (height, width) of the wanted aspect ratio.

    Returns:
        [B, H', W, C].
    """
    _, height, width, _ = image.shape
    rows = width * size[0] // size[1]
    top = (height - rows) // 2
    return image[:, top : top + rows]


def block_mean(image: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Averages equal blocks of an image, one for each pixel of the result.

    Args:
        image: [B, H, W, C].
        size: (h, w) of the result.

    Returns:
        [B, h, w, C].

    Raises:
        ValueError: H and W are not multiples of `size`.
    """
    (b, height, width, c), (h, w) = image.shape, size
    if (height, width) == (h, w):
        return image
    if height % h or width % w:
        raise ValueError(
            f"cannot average {height}x{width} images to {h}x{w}: not a multiple"
        )
    return image.reshape(b, h, height // h, w, width // w, c).mean((2, 4))
