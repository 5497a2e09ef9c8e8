"""``caten-sd check FILE --against LAYOUT|module:callable``: does it fit, and if not, why?"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from caten_sd.cli import DIFFERS, FINE, say_sheet
from caten_sd.cli.arguments import FROM, LAYOUT, MODEL, parser_of
from caten_sd.cli.file_or_model import is_model
from caten_sd.cli.models import build, python_of, state_of
from caten_sd.errors import LayoutError
from caten_sd.errors.printable import one_line
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_check import check_layout
from caten_sd.mapping.layout_modules import called
from caten_sd.mapping.named_code import names_code
from caten_sd.state.quoting import is_shell_word, python_literal, shell_word
from caten_sd.state.state_dict import StateDict

LOAD = "load_state_dict("  # how a fix for Python begins
SUMMARY = "check whether a checkpoint fits a model or a layout, and say why not"


def run(words: Sequence[str]) -> int:
    """Print the verdict, the groups, the cause and the fix; 0 if it fits, 1 if not."""
    parser = parser_of("check", SUMMARY)
    parser.add_argument(
        "--against",
        required=True,
        metavar="LAYOUT|module:callable",
        help=f"{LAYOUT}; or {MODEL}",
    )
    parser.add_argument("--to", metavar="LAYOUT", help="convert the file to this layout first")
    parser.add_argument("--from", dest="from_layout", metavar="LAYOUT", help=FROM)
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    options = parser.parse_args(words)
    _require_no_weights(options.file, options.against)
    with read_state_dict(options.file, root=options.root) as state_dict:
        checked = _in_layout(state_dict, options.to, options.from_layout)
        model = build(options.against) if is_model(options.against) else None
        if model is None or isinstance(model, Layout):
            result = check_layout(checked, options.against, file=options.file)
        else:
            result = _against_model(checked, model, options)
        say_sheet(result, as_json=options.json)
        return FINE if result.fits else DIFFERS


def _require_no_weights(file: str, against: str) -> None:
    """Refuse a second file or folder of weights, which only ``diff`` takes."""
    is_code = against.endswith(".toml") or names_code(against)
    is_layout = is_code or called(Layout, against) is not None
    if not is_layout and not is_model(against) and os.path.exists(against):
        both = " ".join(map(shell_word, (file, against)))
        raise LayoutError(
            f"{one_line(against)} is a file or a folder, and not a layout or a model; to compare "
            f"it with another, write caten-sd diff {both}"
        )


def _in_layout(state_dict: StateDict, layout: str | None, from_layout: str | None) -> StateDict:
    if layout is None and from_layout is None:
        return state_dict
    from caten_sd.mapping.layout_plan import to_layout
    from caten_sd.mapping.refusals import refuse_source_alone

    refuse_source_alone(layout, from_layout)
    return to_layout(state_dict, layout or "", from_layout=from_layout, silent=True)


def _against_model(state_dict: StateDict, model: Any, options: argparse.Namespace) -> Any:
    import attrs

    from caten_sd.loading.load import plan_load

    state_of(options.against, model)
    plan = plan_load(model, state_dict)
    return attrs.evolve(plan, fix=_shell_line(plan.fix, model, options) if plan.fix else "")


def _shell_line(fix: str, model: Any, options: argparse.Namespace) -> str:
    """Return a command that loads with the fix and shows the report, or "" if none can."""
    before, _, options_of_load = fix.partition(LOAD)
    building = python_of(options.against, model)
    if fix.count(LOAD) != 1 or not is_shell_word(fix + options.file + building):
        return ""
    shown = f"{before}print(plan_load({options_of_load}.apply())"
    reading = f"read_state_dict({python_literal(options.file)}{_named('root', options.root)})"
    if options.to is not None:
        source = _named("from_layout", options.from_layout)
        reading = f"to_layout({reading}, {python_literal(options.to)}{source})"
    program = f"from caten_sd import *; {building}; state_dict = {reading}; {shown}"
    return f"python -c {shell_word(program)}"


def _named(name: str, value: str | None) -> str:
    return "" if value is None else f", {name}={python_literal(value)}"
