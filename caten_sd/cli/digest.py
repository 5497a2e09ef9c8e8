"""``caten-sd digest FILE``: one hash of the tensors, whatever the container; or a check of them."""

from __future__ import annotations

from collections.abc import Sequence

from caten_sd.cli.arguments import parser_of
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.state.digest import digest, tensor_digests
from caten_sd.state.grouping import printable


def run(words: Sequence[str]) -> int:
    """Print the digest."""
    parser = parser_of("digest")
    parser.add_argument("--all", action="store_true", help="one line for every tensor")
    parser.add_argument(
        "--verify", action="store_true", help="compare with the digests stored in the file first"
    )
    options = parser.parse_args(words)
    with read_state_dict(
        options.file, root=options.root, verify=options.verify, streaming=True
    ) as state_dict:
        if options.all:
            for key, content in tensor_digests(state_dict).items():
                print(f"{content}  {printable(key)}")
        else:
            print(f"{digest(state_dict)}  {options.file}")
    return 0
