"""Counts a function's products and convolutions, in every round of every loop.

XLA counts the body of a loop once, which gives a fifth of an inversion's work. This
count leaves out sums, activations and the like: a few per cent of these networks' work.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax


def count(function: Callable, *args: Any) -> float:
    """Floating-point operations of `function(*args)`; a multiply-add is two.

    Of a branch the more expensive side counts. Of a `while` loop one round counts:
    nobody knows beforehand how many there are.
    """
    return _count(jax.make_jaxpr(function)(*args).jaxpr)


def _count(jaxpr) -> float:
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation) -> float:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        return _product(equation)
    if name == "conv_general_dilated":
        return _convolution(equation)
    inner = [_count(jaxpr) for jaxpr in _inside(params)]
    if name == "cond":
        return max(inner)
    return params.get("length", 1) * sum(inner) if name == "scan" else sum(inner)


def _inside(params: dict[str, Any]) -> Iterator:
    """The functions that an equation calls."""
    for value in params.values():
        for part in value if isinstance(value, (tuple, list)) else (value,):
            part = getattr(part, "jaxpr", part)  # a closed one holds an open one
            if hasattr(part, "eqns"):
                yield part


def _product(equation) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    out = equation.outvars[0].aval.shape
    return 2.0 * math.prod(out) * math.prod(left[i] for i in contracted)


def _convolution(equation) -> float:
    """Taps that fall on padding count, those that fall on inserted zeros do not."""
    numbers = equation.params["dimension_numbers"]
    kernel = equation.invars[1].aval.shape
    out = equation.outvars[0].aval.shape
    per_output = math.prod(kernel) / kernel[numbers.rhs_spec[0]]
    dilated = math.prod(equation.params["lhs_dilation"])
    return 2.0 * math.prod(out) * per_output / dilated
