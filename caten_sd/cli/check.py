"""``caten-sd check FILE --against LAYOUT|module:callable``: does it fit, and if not, why?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from caten_sd.cli import DIFFERS, FINE
from caten_sd.cli.arguments import FROM, MODEL, parser_of
from caten_sd.cli.models import is_model, state_of
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.mapping.layout_check import check_layout
from caten_sd.state.state_dict import StateDict

SUMMARY = "check whether a checkpoint fits a model or a layout, and say why not"


def run(words: Sequence[str]) -> int:
    """Print the verdict, the groups, the cause and the fix; 0 if it fits, 1 if not."""
    parser = parser_of("check", SUMMARY)
    parser.add_argument(
        "--against",
        required=True,
        metavar="LAYOUT|module:callable",
        help=f"the name of a layout, as in hf-gpt2; or {MODEL}",
    )
    parser.add_argument("--to", metavar="LAYOUT", help="convert the file to this layout first")
    parser.add_argument("--from", dest="from_layout", metavar="LAYOUT", help=FROM)
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    options = parser.parse_args(words)
    with read_state_dict(options.file, root=options.root) as state_dict:
        checked = _in_layout(state_dict, options.to, options.from_layout)
        if is_model(options.against):
            result = _against_model(checked, options.against)
        else:
            result = check_layout(checked, options.against, file=options.file)
        print(json.dumps(result.to_dict(), indent=1) if options.json else result)
        return FINE if result.fits else DIFFERS


def _in_layout(state_dict: StateDict, layout: str | None, from_layout: str | None) -> StateDict:
    if layout is None:
        return state_dict
    from caten_sd.mapping.layout_plan import to_layout

    return to_layout(state_dict, layout, from_layout=from_layout, silent=True)


def _against_model(state_dict: StateDict, model: str) -> Any:
    from caten_sd.loading.load import plan_load

    return plan_load(state_of(model)[0], state_dict)
