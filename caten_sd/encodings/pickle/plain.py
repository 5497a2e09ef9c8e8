"""The plain Python classes that a pickle may name, and our own functions that rebuild them."""

from __future__ import annotations

from typing import Any

from caten_sd.encodings.pickle.inert_values import Instance, Ordered, Reference, brief, check_key
from caten_sd.state.source import Source


def _mapping(*args: Any) -> Ordered:
    """Return a dict of a mapping or of pairs; the factory of a defaultdict is left out."""
    made = Ordered()
    for given in args:
        pairs = given.items() if isinstance(given, dict) else given
        if type(given) is Reference:
            continue  # the factory of a defaultdict
        if not isinstance(given, dict) and type(given) not in (list, tuple):
            raise ValueError(f"a mapping is made of {brief(given)}")
        for key, value in pairs:
            check_key(key)
            made[key] = value
    return made


def _list(values: Any = (), *_: Any) -> list[Any]:
    if type(values) not in (list, tuple):
        raise ValueError(f"a sequence is made of {brief(values)}")
    return list(values)


def _set(values: Any = ()) -> set[Any]:
    for value in (items := _list(values)):
        check_key(value)
    return set(items)


def _frozenset(values: Any = ()) -> frozenset[Any]:
    return frozenset(_set(values))


def _bytes(value: Any = b"", encoding: str = "latin1") -> bytes:
    if type(value) is str and encoding in ("latin1", "latin-1", "utf-8", "ascii"):
        return value.encode(encoding)
    if type(value) is Source:
        return value.read(0, value.size)
    if type(value) in (bytes, bytearray, list, tuple):
        return bytes(value)
    raise ValueError(f"bytes are made of {brief(value)} in the encoding {brief(encoding)}")


def _bytearray(*args: Any) -> bytearray:
    return bytearray(_bytes(*args))


def _complex(real: Any = 0, imaginary: Any = 0) -> complex:
    if type(real) not in (int, float) or type(imaginary) not in (int, float):
        raise ValueError("a complex number is not made of two numbers")
    return complex(real, imaginary)


def _reconstructor(kind: Any, base: Any, state: Any) -> Any:
    """Return an object as protocols 0 and 1 make one: a class, a built-in base and its value."""
    if type(kind) is not Reference or type(base) is not Reference:
        raise ValueError("an object is made without a class")
    made = kind.call((), bare=True)
    if type(made) is Instance and type(state) in (dict, list, set):
        made.entries = state
    return made


def _new(kind: Any, *args: Any) -> Any:
    if type(kind) is not Reference:
        raise ValueError("an object is made without a class")
    return kind.call(args, bare=True)


def _setattr(target: Any, name: Any, value: Any) -> None:
    """Keep an attribute that dill sets on an object of its own."""
    if type(target) is not Instance or type(name) is not str:
        raise ValueError(f"an attribute is set on {brief(target)}, which is not an object")
    if target.state is None:
        target.state = {}
    if type(target.state) is dict:
        target.state[name] = value


PLAIN: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): _bytes,
    ("builtins", "bytearray"): _bytearray,
    ("builtins", "bytes"): _bytes,
    ("builtins", "complex"): _complex,
    ("builtins", "dict"): _mapping,
    ("builtins", "frozenset"): _frozenset,
    ("builtins", "list"): _list,
    ("builtins", "set"): _set,
    ("builtins", "setattr"): _setattr,
    ("collections", "Counter"): _mapping,
    ("collections", "OrderedDict"): _mapping,
    ("collections", "defaultdict"): _mapping,
    ("collections", "deque"): _list,
    ("copyreg", "__newobj__"): _new,
    ("copyreg", "_reconstructor"): _reconstructor,
}
RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}
