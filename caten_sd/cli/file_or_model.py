"""What the first word of a command names: a checkpoint, or a model in Python or Lisp."""

from __future__ import annotations

import os

from caten_sd.cli.lisp_calls import split_call
from caten_sd.errors import CatenError
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.mapping.named_code import names_code, split_name
from caten_sd.state.state_dict import StateDict


def is_model(text: str) -> bool:
    """Return whether a text names a model in Python or Lisp, not a checkpoint or a layout."""
    if split_call(text) is not None:
        return True
    return bool(split_name(text)[1]) and names_code(text) and not os.path.exists(text)


def file_or_model(text: str, root: str | None) -> StateDict:
    """Return the state dict of a checkpoint, or of the model that a text names."""
    if not is_model(text):
        return read_state_dict(text, root=root)
    if root is not None:
        raise CatenError(f"--root names a tree of a file, and {text} is a model; leave it out")
    from caten_sd.cli.models import build, state_of

    return state_of(text, build(text))
