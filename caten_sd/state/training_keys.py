"""The keys of a training state, so that it is recognized among other state dicts."""

from __future__ import annotations

from collections.abc import Collection

from caten_sd.state.state_dict import StateDict

COMPONENTS = ("optimizer", "scheduler", "scaler", "rng")
MODEL, STEP = "model.", "step"
VALUES = "values"  # the text with a component's plain values

_STARTS = (MODEL, *(f"{name}." for name in COMPONENTS))


def is_training(keys: Collection[str]) -> bool:
    """Return whether these are the keys of a training state: a model, a step, components only.

    >>> is_training(["model.h.0.w", "optimizer.values", "step"]), is_training(["model.h.0.w"])
    (True, False)
    """
    if STEP not in keys:
        return False
    return all(key.startswith(_STARTS) or key == STEP for key in keys) and any(
        key.startswith(MODEL) for key in keys
    )


def model_state(state: StateDict) -> StateDict:
    """Return the model in a training state, under its own keys; another state dict unchanged.

    What is around the model is then in its ``rest``.
    """
    if not is_training(state.keys()):
        return state
    start = len(MODEL)
    ties = {k[start:]: first[start:] for k, first in state.ties.items() if k.startswith(MODEL)}
    others = {k[start:]: value for k, value in state.others.items() if k.startswith(MODEL)}
    around = {k: v for k, v in {**state.entry, **state.others}.items() if not k.startswith(MODEL)}
    return state.with_entry(
        {key[start:]: leaf for key, leaf in state.items() if key.startswith(MODEL)},
        ties=ties,
        others=others,
        rest={**state.rest, **around},
    )
