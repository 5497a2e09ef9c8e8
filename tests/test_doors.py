"""The doors: what is public, where, and that whatever a user holds in the hand has a name there."""

from __future__ import annotations

import ast
import collections.abc
import importlib
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, GenericAlias, ModuleType, UnionType
from typing import Any

import numpy as np
import pytest

import caten_sd
import caten_sd.errors
import caten_sd.extend
import caten_sd.layout
import caten_sd.testing
from caten_sd.dispatch.generic import GenericFunction

ROOT = Path(__file__).parent.parent
DOORS = [caten_sd, caten_sd.layout, caten_sd.extend]
LIBRARIES = {"caten_sd", "caten_sd.layout", "caten_sd.extend", "caten_sd.nn", "caten_sd.testing"}

# These are public in two doors, and every other name in one.
IN_TWO = {
    "DType": "an element of a Spec, and what a reader of files makes leaves of",
    "Layout": "an option of the verbs, and what an author of layouts builds",
    "LazyTensor": "a leaf of a file, and what a reader of files returns",
    "Operation": "what a row holds, and what one of your own inherits from",
    "Spec": "what a row of a plan shows, and what a method of `spec` returns",
    "to_state_dict": "the verb of the owner's card, and a generic function",
}
NOT_HELD = {
    "Section": "the lines of a sheet that a screen has room for, from which its text is made",
    "Side": "the rules of a layout, compiled for those who apply it",
}
GENERICS = (
    "to_state_dict assign spec as_array dequantize recognize read write call "
    "slots_of put replacement refusal memory unwrap local_shard hooks_of component_of"
)


def values(door: ModuleType) -> dict[str, Any]:
    return {name: getattr(door, name) for name in door.__all__}


def test_a_name_is_public_in_one_door_or_deliberately_in_two():
    homes: dict[str, list[Any]] = {}
    for door in DOORS:
        for name, value in values(door).items():
            homes.setdefault(name, []).append(value)
    twice = {name: found for name, found in homes.items() if len(found) > 1}
    assert set(twice) == set(IN_TWO)
    assert all(one is two for one, two in twice.values())


def test_the_generics_are_the_two_tables_of_nine():
    found = {
        n for n, value in values(caten_sd.extend).items() if isinstance(value, GenericFunction)
    }
    assert found == set(GENERICS.split())
    assert len(found) == 18


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_what_type_checkers_see_is_what_is_imported(door: ModuleType):
    tree = ast.parse(Path(str(door.__file__)).read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    assert seen == {name: f"caten_sd.{home}" for name, home in door._HOMES.items()}
    assert set(dir(door)) >= set(door.__all__)
    with pytest.raises(AttributeError, match=f"'{door.__name__}' has no attribute 'nothing'"):
        door.nothing  # noqa: B018


def test_importing_the_doors_imports_nothing_else():
    program = (
        "import sys, caten_sd, caten_sd.layout, caten_sd.extend\n"
        "print(*(name for name in sys.modules if name.startswith('caten_sd')))\n"
        "assert caten_sd.layout.Row and caten_sd.extend.Format and caten_sd.nn.Linear"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert set(done.stdout.split()) == {
        "caten_sd",
        "caten_sd.layout",
        "caten_sd.extend",
        "caten_sd.first_use",
    }


def test_the_names_of_an_author_are_not_at_the_top():
    private = {"generic", "Row", "Split", "read", "write", "recognize", "Format", "spec", "call"}
    assert not private & set(caten_sd.__all__)
    with pytest.raises(ImportError, match="Row"):
        from caten_sd import Row  # type: ignore[attr-defined]  # noqa: F401


def test_every_error_and_warning_has_a_public_name():
    places = (*DOORS, caten_sd.testing)
    public = {id(value) for door in places for value in values(door).values()}
    errors = [e for e in vars(caten_sd.errors).values() if inspect.isclass(e)]
    errors = [e for e in errors if issubclass(e, (Exception, Warning))]
    assert len(errors) >= 13
    assert [e.__name__ for e in errors if id(e) not in public] == []


# What the annotations of public names mention, and those of the classes found.


def is_installed(module: str) -> bool:
    """Return whether the package is there that an adapter is for; other modules need none."""
    adapter = module.partition("caten_sd.adapters.")[2].partition(".")[0]
    return not adapter or importlib.util.find_spec(adapter) is not None


def every_class() -> dict[str, Any]:
    """Return the classes and aliases of all modules, which annotations may refer to unimported."""
    found = {**vars(typing), **vars(collections.abc)}
    for module in pkgutil.walk_packages(caten_sd.__path__, "caten_sd."):
        if not module.name.endswith("__main__") and is_installed(module.name):
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, UnionType) or typing.get_origin(value):
                    found[name] = value
                if inspect.isclass(value) and value.__module__.startswith("caten_sd"):
                    found[value.__name__] = value
    return {**found, "Array": np.ndarray}


def mentioned(annotation: Any) -> Iterator[type]:
    if inspect.isclass(annotation) and not isinstance(annotation, GenericAlias):
        yield annotation
    for each in typing.get_args(annotation):
        if isinstance(each, list):
            for inner in each:
                yield from mentioned(inner)
        elif isinstance(each, (type, UnionType, GenericAlias)) or typing.get_origin(each):
            yield from mentioned(each)


def signatures(value: Any) -> Iterator[Any]:
    """Yield what has annotations: a function, or a class with its public methods and properties."""
    if isinstance(value, (GenericFunction, FunctionType)):
        yield inspect.unwrap(value)
    elif inspect.isclass(value):
        yield value
        for name, member in vars(value).items():
            function = getattr(member, "fget", getattr(member, "__func__", member))
            function = getattr(function, "func", function)  # a cached property
            if isinstance(function, FunctionType) and (name == "__init__" or name[0] != "_"):
                yield inspect.unwrap(function)


def classes_without_a_name(door: ModuleType) -> set[str]:
    known = every_class()
    public = {id(value) for each in DOORS for value in values(each).values()}
    waiting, seen, nameless = list(values(door).values()), set(), set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        for owner in signatures(value):
            for name, hint in typing.get_type_hints(owner, localns=known).items():
                if inspect.isclass(owner) and name.startswith("_"):
                    continue
                for cls in mentioned(hint):
                    if cls.__module__.startswith("caten_sd") and cls.__name__ not in NOT_HELD:
                        waiting.append(cls)
                        if id(cls) not in public:
                            nameless.add(f"{cls.__name__} (of {owner.__qualname__}: {name})")
    return nameless


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_whatever_a_public_name_takes_or_gives_has_a_public_name(door: ModuleType):
    assert classes_without_a_name(door) == set()


# Those outside the library need nothing but the doors.


def imports(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def outside() -> Iterator[tuple[str, str]]:
    for path in (ROOT / "examples").glob("*.py"):
        yield path.name, path.read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    for number, text in enumerate(blocks):
        yield f"README, block {number}", text


@pytest.mark.parametrize(("name", "text"), [pytest.param(*each, id=each[0]) for each in outside()])
def test_examples_import_from_doors_only(name: str, text: str):
    ours = {each for each in imports(text) if each.partition(".")[0] == "caten_sd"}
    assert ours <= LIBRARIES
