"""``caten-sd digest FILE``: one hash of the tensors, the same in every format."""

from __future__ import annotations

from collections.abc import Sequence

from caten_sd.cli import FINE, say
from caten_sd.cli.arguments import parser_of
from caten_sd.errors.printable import printable
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.files.checksums import compare_checksums
from caten_sd.state.digest import STORED, digest, tensor_digests, verify_digests

SUMMARY = "hash the tensors; the hash is the same in every format"


def run(words: Sequence[str]) -> int:
    """Print the digest of the checkpoint, or of each tensor."""
    parser = parser_of("digest", SUMMARY)
    parser.add_argument("--all", action="store_true", help="one line for every tensor")
    parser.add_argument(
        "--check",
        action="store_true",
        help="first compare the data with the digests stored in the file; where it has none, with "
        "the checksums in it, as zip files have (.pt, .npz)",
    )
    options = parser.parse_args(words)
    with read_state_dict(options.file, root=options.root, streaming=True) as state_dict:
        if options.check and STORED in state_dict.metadata:
            verify_digests(state_dict, options.file)
        elif options.check:
            compare_checksums(options.file)
        if options.all:
            for key, content in tensor_digests(state_dict).items():
                say(f"{content}  {printable(key)}")
        else:
            say(f"{digest(state_dict)}  {options.file}")
    return FINE
