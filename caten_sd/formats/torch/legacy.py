"""What ``torch.save`` wrote before 1.6, and bare pickles of arrays or of torch's tensors.

torch runs the code that a tar or a bare pickle asks for; here none is run and torch is not needed.
torch is the oracle in the tests. These formats are read only.
"""

from __future__ import annotations

import re
from typing import Any

from caten_sd.encodings.pickle.interpreter import Unpickled
from caten_sd.errors import FormatError
from caten_sd.files.foreign_files import is_joblib
from caten_sd.files.format import Contents, Format, read, recognize, write
from caten_sd.formats.torch.legacy_stream import HEAD, nested_reader, read_stream
from caten_sd.formats.torch.pickles import load, tree_of
from caten_sd.formats.torch.tar import is_torch_tar, read_tar
from caten_sd.state.source import Source

# A dict, a list, or the name of a class or function.
_JOBLIB = 1 << 20  # bytes in which joblib's first array is looked for
_TEXT_PICKLE = re.compile(rb"\(?[dl]p\d+\n|[}\]]q|c[\w.]+\n[\w.]+\n")


class TorchLegacy(Format):
    """torch's formats before its zip, and bare pickles; read only."""

    name = "torch legacy"
    suffixes = (".pkl", ".pickle")
    sources = ("file",)
    read_only = True
    member_names = r"\A(sys_info|pickle|tensors|storages)\0"


@recognize.register(TorchLegacy, Source)
def _recognize(format: TorchLegacy, source: Source, /) -> str | None:
    head = source.head(512)
    if head.startswith(HEAD):
        return "torch's magic number"
    if is_torch_tar(head):
        return "a tar that begins with a member of torch's format"
    if head[4:9] == b"\0\0\0\0{":  # safetensors, whose header's length may look like a pickle
        return None
    if len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5:
        return f"a pickle of protocol {head[1]}"
    if _TEXT_PICKLE.match(head) and source.read(source.size - 1, 1) == b".":
        return "the beginning and the end of a pickle of protocol 0 or 1"
    return None


@read.register(TorchLegacy, Source)
def _read(format: TorchLegacy, source: Source, /) -> Contents:
    head = source.head(512)
    if head.startswith(HEAD):
        pickled = read_stream(source)
    elif is_torch_tar(head):
        pickled = read_tar(source)
    else:
        pickled = _read_bare(source)
    return Contents(*tree_of(pickled, source.name), imports=pickled.imports)


def _read_bare(source: Source) -> Unpickled:
    try:
        pickled = load(source, nested=nested_reader(source.name))
        if pickled.end == source.size:
            return pickled
        problem = f"{source.size - pickled.end} bytes follow its pickle"
        raise FormatError(source.name, problem, "it is damaged or not a pickle, so get it again")
    except FormatError:
        if is_joblib(source.head(_JOBLIB)):
            fix = "read it with joblib.load, and write its arrays with numpy.savez"
            raise FormatError(source.name, "it is a dump of joblib, with arrays", fix) from None
        raise


@write.register(TorchLegacy)
def _write(format: TorchLegacy, target: Any, state_dict: Any, /, **options: Any) -> None:
    raise FormatError("torch legacy", "this format is only read", "name the file .pt")
