"""Which names a pickle may call without being refused; the calls themselves are never made.

So this is a verdict on the file and not a barrier. A function of Python's own library that no
checkpoint needs makes the file suspect; a class of an unknown package does not.
"""

from __future__ import annotations

import sys

# With modules of Python 2, and those of other systems than the one this runs on.
_PYTHON = frozenset(sys.stdlib_module_names) | {
    "__builtin__",
    "commands",
    "copy_reg",
    "nt",
    "posix",
}
_FRAMEWORKS = frozenset({"numpy", "torch"})

# What real checkpoints call of Python's library, and of numpy and torch besides classes.
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


# Those that reach for something else, and torch's schemes, which are only named.
_ACTIVE = "builtins.getattr functools.partial operator.attrgetter operator.itemgetter"
_PASSIVE = "torch.per_tensor_affine torch.per_channel_affine torch.per_channel_affine_float_qparams"
PLAIN_DATA = (INERT - {*_ACTIVE.split(), "operator.methodcaller"}) | set(_PASSIVE.split())


def is_plain_data(full_name: str) -> bool:
    """Return whether a name that we do not rebuild only makes plain data too.

    >>> is_plain_data("datetime.date"), is_plain_data("models.Net")
    (True, False)
    """
    return full_name in PLAIN_DATA and not full_name.startswith("torch.fx.")


def is_inert(full_name: str) -> bool:
    """Return whether a call of a name we do not rebuild may stay an Opaque.

    >>> is_inert("models.Net"), is_inert("os.system"), is_inert("torch.nn.modules.linear.Linear")
    (True, False, True)
    """
    if full_name in INERT:
        return True
    top = full_name.partition(".")[0]
    if top in _FRAMEWORKS:
        # Their classes only hold state; some of their functions are known exploits.
        return full_name.rpartition(".")[2].lstrip("_")[:1].isupper()
    return top not in _PYTHON
