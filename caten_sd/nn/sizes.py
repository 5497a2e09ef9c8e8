"""Check the sizes of a model: each has to be a positive integer."""

from __future__ import annotations

from collections.abc import Sequence

from caten_sd.errors import ModelError

Sizes = int | Sequence[int]


def require_sizes(model: str, /, least: int = 1, **sizes: object) -> None:
    """Raise ModelError unless each size is an integer of at least ``least``.

    >>> require_sizes("Linear", in_features=3, out_features=2)
    """
    kind = "a positive integer" if least == 1 else f"an integer of at least {least}"
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < least:
            raise ModelError(f"{model}: {name} must be {kind}, not {size!r}")


def as_sizes(model: str, dims: Sizes) -> tuple[int, ...]:
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


def spread_sizes(
    model: str, name: str, value: Sizes, ndim: int | None, least: int = 1
) -> tuple[int, ...]:
    """Return a size for each of ``ndim`` axes, or of 1 to 3 axes where it is None.

    >>> spread_sizes("Conv2d", "stride", 2, 2)
    (2, 2)
    """
    sizes = (value,) * (ndim or 1) if isinstance(value, int) else tuple(value)
    if len(sizes) not in ((1, 2, 3) if ndim is None else (ndim,)) or min(sizes) < least:
        raise ModelError(
            f"{model}: {name} must be {_integers(ndim)} of at least {least}, not {value!r}"
        )
    return sizes


def _integers(ndim: int | None) -> str:
    if ndim is None:
        return "1 to 3 integers"
    return "an integer" if ndim == 1 else f"an integer or {ndim} integers"
