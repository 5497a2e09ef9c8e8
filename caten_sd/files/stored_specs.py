"""What a format writes of a state dict: the spec of each leaf, tied leaves once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from caten_sd.errors import CatenError, StateDictError
from caten_sd.files.format import Format
from caten_sd.state.dtype import bfloat16_choice
from caten_sd.state.leaf import DENSE, Numpy, Spec, as_array, spec_or_none
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import a_or_an


def stored_specs(
    format: Format, state_dict: StateDict, can_hold: Callable[[Spec], bool]
) -> dict[str, Spec]:
    """Return the spec of every leaf to write, tied ones once.

    StateDictError for a value that is not a leaf, or a spec for which ``can_hold`` is false.
    """
    ties, specs = state_dict.ties, {}
    for key, leaf in state_dict.items():
        if key in ties:
            continue
        known = spec_or_none(leaf)
        if known is None or not can_hold(known):
            raise not_held(format.name, key, leaf)
        check_bytes(key, leaf)
        specs[key] = known
    return specs


def not_held(format: str, key: str, leaf: Any) -> StateDictError:
    """Return the error for a value that is not a tensor, or of a dtype that a format lacks."""
    known = spec_or_none(leaf)
    if known is None:
        return StateDictError(
            f"{format} cannot hold {key!r}: it is {a_or_an(type(leaf).__name__)}, which is not a "
            f"tensor; convert it to one, as numpy.asarray does for a number, or leave it out"
        )
    return StateDictError(
        f"{format} cannot hold {key!r} ({known.dtype}); convert it to another dtype, leave it out, "
        f"or write another format{bfloat16_choice(known.dtype)}"
    )


def refuse_surrogates(format: str, keys: Iterable[str]) -> None:
    """Raise StateDictError for a key with a lone surrogate, which no UTF-8 text can hold."""
    for key in keys:
        try:
            key.encode()
        except UnicodeEncodeError:
            raise StateDictError(
                f"{format} cannot hold {key!r}, which has a lone surrogate; rename it, or write a "
                f".pt file"
            ) from None


def check_bytes(key: str, leaf: Any) -> None:
    """Raise StateDictError for a tensor that has nothing to write: sparse, or without values."""
    known = spec_or_none(leaf)
    if known is None:
        return
    if not known.has_values:
        raise StateDictError(f"{key!r} cannot be written: {_why_no_values(leaf)}; or leave it out")
    if known.form != DENSE:
        raise StateDictError(
            f"{key!r} cannot be written, as it is {known.form}: make it dense, as its to_dense() "
            f"does, or leave it out"
        )


def _why_no_values(leaf: Any) -> str:
    """Return why a leaf has a shape and no values, which its own world knows."""
    try:
        as_array(Numpy(), leaf)
    except CatenError as error:
        return str(error)
    return "it is a shape without values: load or compute it first"
