"""Which names that a pickle asks to call may stay inert, and which make the file suspect.

Nothing is ever run, so this is no wall but a verdict: a file that asks for a function of Python's
own library, which no checkpoint needs, is refused and named; a class that nobody here knows is not.
"""

from __future__ import annotations

import sys

# Python 2's names of modules, and those of other systems than the one this runs on.
_PYTHON = frozenset(sys.stdlib_module_names) | {
    "__builtin__",
    "commands",
    "copy_reg",
    "nt",
    "posix",
}
_FRAMEWORKS = frozenset({"numpy", "torch"})

# What real checkpoints hold of Python's library, numpy and torch beside their classes.
_INERT = {
    "argparse": "Namespace",
    "builtins": "getattr object range slice type",
    "collections": "UserDict UserList",
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "functools": "partial",
    "logging": "Logger getLogger",
    "operator": "attrgetter itemgetter methodcaller",
    "pathlib": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
    "pathlib._local": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
    "random": "Random",
    "re": "_compile",
    "types": "SimpleNamespace",
    "uuid": "SafeUUID UUID",
    "numpy": "dtype ndarray",
    "numpy.core.multiarray": "_reconstruct",
    "numpy._core.multiarray": "_reconstruct",
    "numpy.random": "__RandomState_ctor",
    "numpy.random._pickle": "__bit_generator_ctor __generator_ctor __randomstate_ctor",
    "torch": "device",
    "torch._utils": "_rebuild_meta_tensor_no_storage _rebuild_nested_tensor _rebuild_sparse_tensor "
    "_rebuild_wrapper_subclass",
    "torch.fx.graph_module": "reduce_graph_module",
    "torch.nested._internal.nested_tensor": "_rebuild_njt",
    "torch.serialization": "_get_layout",
}
INERT = frozenset(f"{module}.{name}" for module, names in _INERT.items() for name in names.split())


def is_inert(full_name: str) -> bool:
    """Tell whether an unknown name may be called in a pickle, and stay an Opaque.

    >>> is_inert("models.Net"), is_inert("os.system"), is_inert("torch.nn.modules.linear.Linear")
    (True, False, True)
    """
    if full_name in INERT:
        return True
    top = full_name.partition(".")[0]
    if top in _FRAMEWORKS:
        # Their classes are state; their functions, among which are known gadgets, are not.
        return full_name.rpartition(".")[2].lstrip("_")[:1].isupper()
    return top not in _PYTHON
