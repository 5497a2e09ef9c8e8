"""The random generators of a process, as a component of a training state."""

from __future__ import annotations

import random
import sys
from typing import Any


class ProcessRandomness:
    """The global generators of Python, and of numpy and torch if they are imported.

    The generators of accelerators are included once torch has begun to use one.

    >>> state = ProcessRandomness().state_dict()
    >>> drawn = random.random()
    >>> ProcessRandomness().load_state_dict(state)
    >>> random.random() == drawn
    True
    """

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each generator."""
        state: dict[str, Any] = {"python": random.getstate()}
        if numpy := sys.modules.get("numpy"):
            state["numpy"] = numpy.random.get_state()
        if torch := sys.modules.get("torch"):
            state["torch"] = torch.get_rng_state()
            if torch.cuda.is_initialized():
                state["cuda"] = torch.cuda.get_rng_state_all()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set each generator that was saved, if it exists here."""
        random.setstate(state["python"])
        if "numpy" in state:
            import numpy as np

            np.random.set_state(state["numpy"])
        if "torch" in state:
            import torch

            torch.set_rng_state(state["torch"])
            if "cuda" in state and len(state["cuda"]) == torch.cuda.device_count():
                torch.cuda.set_rng_state_all(state["cuda"])
