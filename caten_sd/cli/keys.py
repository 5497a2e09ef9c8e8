"""``caten-sd keys FILE|module:callable``: plain keys, one a line, or Caten's listing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from caten_sd.checkpoint import read_state_dict
from caten_sd.cli.models import build, is_model
from caten_sd.errors import StateDictError
from caten_sd.state_dict import StateDict


def run(words: Sequence[str]) -> int:
    """Print the keys."""
    parser = argparse.ArgumentParser("caten-sd keys", description=__doc__)
    parser.add_argument("of", metavar="FILE|module:callable")
    parser.add_argument("--caten", action="store_true", help="with shapes, as Caten prints them")
    parser.add_argument("--root", help="the tree to list, where a file holds several")
    options = parser.parse_args(words)
    with _state_dict(options.of, options.root) as state_dict:
        print(state_dict if options.caten else "\n".join(state_dict))
    return 0


def _state_dict(of: str, root: str | None) -> StateDict:
    if not is_model(of):
        return read_state_dict(of, root=root)
    from caten_sd.extract import get_state_dict

    state_dict = get_state_dict(build(of))
    if not state_dict:
        raise StateDictError(f"{of} has no state: no slot of it holds a tensor")
    return state_dict
