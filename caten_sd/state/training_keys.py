"""What the keys of a training state look like, for those who meet one as any state dict."""

from __future__ import annotations

from collections.abc import Collection

from caten_sd.state.state_dict import StateDict

PARTS = ("optimizer", "scheduler", "scaler", "rng")
MODEL, STEP = "model.", "step"
VALUES = "values"  # the text of a part's plain values

_STARTS = (MODEL, *(f"{part}." for part in PARTS))


def is_training(keys: Collection[str]) -> bool:
    """Tell the keys of a training state: a model's, a step, and nothing that it has not.

    >>> is_training(["model.h.0.w", "optimizer.values", "step"]), is_training(["model.h.0.w"])
    (True, False)
    """
    if STEP not in keys:
        return False
    return all(key.startswith(_STARTS) or key == STEP for key in keys) and any(
        key.startswith(MODEL) for key in keys
    )


def model_part(state: StateDict) -> StateDict:
    """Return the model of a training state under its own keys; any other state dict as it is."""
    if not is_training(state.keys()):
        return state
    entry = {key[len(MODEL) :]: leaf for key, leaf in state.items() if key.startswith(MODEL)}
    ties = {
        key[len(MODEL) :]: first[len(MODEL) :]
        for key, first in state.ties.items()
        if key.startswith(MODEL)
    }
    return StateDict(entry, ties=ties, metadata=state.metadata, origin=state.origin)
