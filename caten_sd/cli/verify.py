"""``caten-sd verify A B``: run two models on the same input, and say where they part."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from typing import Any

from caten_sd.cli import DIFFERS, FINE, say_sheet
from caten_sd.cli.arguments import LAYOUT, MODEL, bare_parser
from caten_sd.cli.models import build
from caten_sd.errors import CatenError
from caten_sd.files.checkpoint import read_state_dict

SUMMARY = "run two models on the same input, and say where they part"


def _parser() -> argparse.ArgumentParser:
    parser = bare_parser("verify", SUMMARY)
    parser.add_argument("a", metavar="A", help=MODEL)
    parser.add_argument("b", metavar="B", help="another such model")
    inputs = parser.add_mutually_exclusive_group()
    inputs.add_argument(
        "--inputs",
        metavar="FILE.npz",
        help="arrays by the names of the parameters, or in their order; without them and without "
        "tokens, random ones",
    )
    inputs.add_argument("--tokens", metavar="1,2,3", type=_ids, help="one sequence of token ids")
    parser.add_argument("--layout", metavar="LAYOUT", help=f"that of B: {LAYOUT}")
    parser.add_argument(
        "--tolerance", type=float, metavar="RELATIVE", help="the difference that is rounding"
    )
    parser.add_argument("--seed", type=int, default=0, help="of random inputs; 0 if left out")
    parser.add_argument("--all", action="store_true", help="a line for every layer near it")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    return parser


def run(words: Sequence[str]) -> int:
    """Print the first layer that differs, and its weights; 0 if there is none, 1 if there is."""
    options = _parser().parse_args(words)
    from caten_sd.proof.verification import verify

    found = verify(
        build(options.a),
        build(options.b),
        _inputs(options),
        layout=options.layout,
        tolerance=options.tolerance,
        seed=options.seed,
    )
    say_sheet(found, as_json=options.json, every_line=options.all)
    return FINE if found.agrees else DIFFERS


def _inputs(options: argparse.Namespace) -> Any:
    if options.tokens is not None:
        from caten_sd.proof.made_inputs import tokens

        return tokens(options.tokens)
    if options.inputs is None:
        return None
    with read_state_dict(options.inputs) as state:
        arrays = {key: leaf.numpy() for key, leaf in state.items()}
    if not arrays:
        raise CatenError(f"{options.inputs} has no arrays; save the inputs with numpy.savez")
    if all(key.startswith("arr_") for key in arrays):  # as numpy.savez names those without names
        return list(arrays.values())
    return arrays


def _ids(text: str) -> list[int]:
    """Return the ids of a text.

    >>> _ids("1, 2,3")
    [1, 2, 3]
    """
    with contextlib.suppress(ValueError):
        ids = [int(each) for each in text.split(",")]
        if all(0 <= each < 2**63 for each in ids):
            return ids
    raise argparse.ArgumentTypeError(
        f"{text!r:.60} is not a list of token ids, which are integers of 64 bits from 0; "
        "write it as in 1,2,3"
    )
