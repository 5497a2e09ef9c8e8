"""``caten-sd check FILE --against LAYOUT|module:callable``: whether it fits, and why not."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from caten_sd.checkpoint import read_state_dict
from caten_sd.cli.models import build, is_model
from caten_sd.state_dict import StateDict


def run(words: Sequence[str]) -> int:
    """Print the verdict, the groups, the cause and the fix; 0 if it fits, 1 if not."""
    parser = argparse.ArgumentParser("caten-sd check", description=__doc__)
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--against", required=True, metavar="LAYOUT|module:callable")
    parser.add_argument("--to", metavar="LAYOUT", help="bring the file into this layout first")
    parser.add_argument("--root", help="the tree to check, where a file holds several")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    options = parser.parse_args(words)
    with read_state_dict(options.file, root=options.root) as state_dict:
        given = _in_layout(state_dict, options.to)
        against = options.against
        result = _by_model(given, against) if is_model(against) else _by_layout(given, against)
        print(json.dumps(result.to_dict(), indent=1) if options.json else result)
        return 0 if result.fits else 1


def _in_layout(state_dict: StateDict, layout: str | None) -> StateDict:
    if layout is None:
        return state_dict
    from caten_sd.mapping.plan import to_layout

    return to_layout(state_dict, layout, silent=True)


def _by_model(state_dict: StateDict, model: str) -> Any:
    from caten_sd.load import plan_load

    return plan_load(build(model), state_dict)


def _by_layout(state_dict: StateDict, layout: str) -> Any:
    from caten_sd.mapping.check import check_layout

    return check_layout(state_dict, layout)
