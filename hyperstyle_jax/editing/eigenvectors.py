"""Eigenvectors of symmetric matrices, sorted and with a fixed sign."""

import numpy as np


def sorted_eigenvectors(
    matrix: np.ndarray, count: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The directions in which a positive semidefinite matrix is largest.

    Args:
        matrix: [D, D], symmetric.
        count: K, by default D.

    Returns:
        Roots of the K largest eigenvalues, the largest first, [K], and the unit
        eigenvectors [K, D]; the largest entry of each is positive.
    """
    values, vectors = np.linalg.eigh(matrix)
    order = np.argsort(values)[::-1][:count]
    directions = vectors[:, order].T
    return np.sqrt(np.maximum(values[order], 0.0)), with_signs(directions)


def with_signs(directions: np.ndarray) -> np.ndarray:
    """Vectors [K, D], turned so that the largest entry of each is positive."""
    largest = np.abs(directions).argmax(1)
    return (
        directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]
    )
