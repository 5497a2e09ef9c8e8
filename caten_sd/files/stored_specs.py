"""What a format writes of a state dict: the spec of each leaf, tied leaves once."""

from __future__ import annotations

from collections.abc import Callable

from caten_sd.errors import StateDictError
from caten_sd.files.format import Format
from caten_sd.state.dtype import bfloat16_choice
from caten_sd.state.leaf import Spec
from caten_sd.state.state_dict import StateDict, spec_or_none


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
            what = type(leaf).__name__ if known is None else known.dtype
            raise StateDictError(
                f"{format.name} cannot hold {key!r} ({what}); convert it to another dtype, leave "
                f"it out, or write another format{bfloat16_choice(known.dtype) if known else ''}"
            )
        specs[key] = known
    return specs
