"""Edits of the toy's text that break one clause each."""

from __future__ import annotations

Edits = tuple[tuple[str, str], ...]

RECOGNIZE = 'return "its first bytes" if source.head(4) == b"TOY\\n" else None'
COUNT = "np.dtype(CODES[dtype]).itemsize * math.prod(shape)"
READ = f"data = source.read(at, {COUNT})"
LEAF = "leaves[key] = np.ndarray(shape, CODES[dtype], data)"
CAUGHT = "(ValueError, TypeError, KeyError, OverflowError, RecursionError)"
SPECS = "    specs = stored_specs(format, state_dict, "
HEADER = "header = json.dumps((arrays, state_dict.metadata)).encode()"
BEGIN = 'target.write(b"TOY\\n" + len(header).to_bytes(8, "little") + header)'
REFUSE_BOOL = """
    if any("bool" in str(getattr(leaf, "dtype", "")) for leaf in state_dict.values()):
        raise StateDictError("a toy file cannot hold a bool")
"""
LEAVE_OUT = """
    kept = {key: leaf for key, leaf in state_dict.items() if hasattr(leaf, "dtype")}
    state_dict = state_dict.with_entry(kept)
"""
WRITE = "target.write(array.astype(CODES[known.dtype.name]).tobytes())"

LEAF_OF_A_PATH = """
from caten_sd.state.dtype import DTYPES
from caten_sd.state.leaf import LazyLeaf


class LeafOfAPath(LazyLeaf):
    def __init__(self, *facts):
        self.path, self.at, self.dtype, self.shape = facts

    def __getitem__(self, index):
        return self.numpy()[index]


@as_array.register(Numpy, LeafOfAPath)
def array_of_a_path(kind, leaf, /):
    code = CODES[leaf.dtype.name]
    return np.memmap(leaf.path, code, "r", leaf.at, tuple(leaf.shape))


class Toy("""
UNCHECKED_MAP = """
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor


class UncheckedMap:
    mapped, closed = True, False

    def __init__(self, path):
        self.data = np.memmap(path, "u1", "r")

    def view(self, start, count):
        if self.closed:
            raise ValueError("the file was closed")
        return memoryview(self.data[start : start + count])

    def read(self, start, count):
        return bytes(self.view(start, count))

    def close(self):
        self.closed = True


class Toy("""
MAPPED = "source.adopt(Source(source.name, UncheckedMap(source.name), 0, source.size))"


def lazily(classes: str, leaf: str) -> Edits:
    return (
        ("\nclass Toy(", classes),
        (READ, f"count = {COUNT}"),
        (LEAF, f"leaves[key] = {leaf}"),
        ("at += len(data)", "at += count"),
    )


BROKEN: dict[str, tuple[str, Edits]] = {
    "has no suffix": ("class of the format", (('(".toy",)', "()"),)),
    "has another's name": ("class of the format", (('"toy"', '"npz"'),)),
    "recognizes everything": ("files of others", ((RECOGNIZE, 'return "a file"'),)),
    "raises for a short file": (
        "files of others",
        (("source.head(4)", "source.read(0, 4)"),),
    ),
    "goes by the name": (
        "found by content",
        ((RECOGNIZE, 'return "its name" if source.name.endswith(".toy") else None'),),
    ),
    "recognizes by all data": (
        "few bytes are recognized",
        (("source.head(4)", "source.head(source.size)[:4]"),),
    ),
    "sorts keys": ("order", (("in arrays:", "in sorted(arrays):"),)),
    "loses axes of size 1": ("shapes", ((LEAF, f"{LEAF}.squeeze()"),)),
    "writes memory as it lies": ("memory order", ((".tobytes()", '.tobytes("A")'),)),
    "narrows integers": ("dtypes", (("<i8", "<i4"),)),
    "refuses without a name": ("dtypes", ((SPECS, REFUSE_BOOL + SPECS),)),
    "writes before it refuses": (
        "dtypes",
        (
            (SPECS, f"    target.write(b'TOY\\n')\n{SPECS}"),
            ('target.write(b"TOY\\n" + len', "target.write(len"),
        ),
    ),
    "leaves out what is not a tensor": (
        "values that are no tensors",
        ((SPECS, LEAVE_OUT + SPECS),),
    ),
    "forgets ties": ("ties", (("in state_dict.ties:", "in ():"),)),
    "forgets metadata": ("metadata", (("state_dict.metadata", "{}"),)),
    "writes the time": (
        "same bytes",
        (("state_dict.metadata", "{**state_dict.metadata, 'at': __import__('time').time_ns()}"),),
    ),
    "swallows a full disk": (
        "a full disk",
        (
            ("import json\n", "import contextlib\nimport json\n"),
            (WRITE, f"with contextlib.suppress(OSError):\n            {WRITE}"),
        ),
    ),
    "writes past the library": (
        "a failure leaves what was there",
        (
            ('("file",)', '("file",)\n    many = True'),
            (BEGIN, BEGIN.replace("write(", "write_bytes(", 1)),
            (
                WRITE,
                f'with open(target, "ab") as file:\n            {WRITE.replace("target", "file")}',
            ),
        ),
    ),
    "takes zeros for what is cut off": (
        "truncation",
        ((READ, f"n = {COUNT}\n            data = source.head(at + n)[at:].ljust(n, b'\\0')"),),
    ),
    "allocates what is claimed": (
        "claimed sizes",
        (("    try:\n", "    buffer = bytearray(at)\n    try:\n"),),
    ),
    "counts to what is claimed": (
        "claimed sizes",
        (("    try:\n", "    for _ in range(at):\n        pass\n    try:\n"),),
    ),
    "raises what it meets": ("claimed sizes", ((CAUGHT, "KeyError"),)),
    "reads after closing": (
        "closing ends reading",
        lazily(LEAF_OF_A_PATH, "LeafOfAPath(source.name, at, DTYPES[dtype], shape)"),
    ),
    "maps the file unchecked": (
        "files that change",
        (
            *lazily(UNCHECKED_MAP, "LazyTensor(source._adopted[0], at, DTYPES[dtype], shape)"),
            ("    try:\n        arr", f"    {MAPPED}\n    try:\n        arr"),
        ),
    ),
}
