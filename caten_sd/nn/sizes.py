"""Check the sizes of a model: each has to be a positive integer."""

from __future__ import annotations

from collections.abc import Sequence

from caten_sd.errors import ModelError


def require_sizes(model: str, **sizes: object) -> None:
    """Raise ModelError unless each size is a positive integer.

    >>> require_sizes("Linear", in_features=3, out_features=2)
    """
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ModelError(f"{model}: {name} must be a positive integer, not {size!r}")


def as_sizes(model: str, dims: int | Sequence[int]) -> tuple[int, ...]:
    """Return one size or several as a tuple; ModelError unless each is a positive integer.

    >>> as_sizes("LayerNorm", 32)
    (32,)
    """
    sizes = (dims,) if isinstance(dims, int) else tuple(dims)
    if not sizes:
        raise ModelError(f"{model}: dims is empty and must have at least one size")
    for size in sizes:
        require_sizes(model, dims=size)
    return sizes
