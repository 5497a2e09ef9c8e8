"""The house: which floor may import which, and what a process that only reads files imports."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import caten_sd
from caten_sd.files.declarations import built_in_formats

ROOT = Path(caten_sd.__file__).parent

# A room imports only rooms of lower floors, and never another room of its own floor.
FLOORS = {
    1: "errors first_use wording",
    2: "dispatch",
    3: "state",
    4: "objects encodings blocks mapping",
    5: "files loading layouts nn",
    6: "formats lisp model_files proof training",
    7: "adapters cli testing __init__ __main__ extend layout",
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms.split()}
MOST_ROOMS = 20  # the doors are not counted
DOORS = {"__init__", "__main__", "extend", "layout", "testing"}

# Open sets: members never import each other, and nobody imports one by its name.
OPEN = ("formats", "layouts", "adapters", "blocks.families", "blocks.schemes")

FOREIGN = {"torch", "numpy", "ml_dtypes", "rich"}
# With those; what only works on files must not wait for their import.
AT_HOME = ("nn", "adapters", "testing", "lisp.operators", "lisp.classes")

# Files that share a name because they share an idea: a command is named after its verb or what it
# lists, a format after its encoding, a model after its layout, a door after what it is for.
SAME_IDEA = {
    "__init__",
    "digest",
    "gpt2",
    "keys",
    "layout",
    "layouts",
    "msgpack",
    "npy",
    "port",
    "torch",
}

Sources = dict[str, str]  # a module's name, "caten_sd.nn.linear", and its text


@cache
def parsed(text: str) -> ast.Module:
    """Return the tree of a module, which is the same for all rules."""
    return ast.parse(text)


def sources() -> Sources:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = [ROOT.name, *path.relative_to(ROOT).with_suffix("").parts]
        found[".".join(parts).removesuffix(".__init__") or ROOT.name] = path.read_text()
    return found


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def at_top(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements that run on import: not those of functions or for type checkers."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.stmt):
            yield node
        waiting += ast.iter_child_nodes(node)


def targets(node: ast.AST, modules: Sources) -> Iterator[str]:
    """Yield the names of the modules that a statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        for alias in node.names:
            inside = f"{base}.{alias.name}"
            yield inside if inside in modules else base


def imports(modules: Sources) -> Iterator[tuple[str, str]]:
    """Yield every import of the house's own modules, late ones and those for types too."""
    for module, text in modules.items():
        for node in ast.walk(parsed(text)):
            for target in targets(node, modules):
                if target.split(".")[0] == ROOT.name and target != module:
                    yield module, target


def unknown(modules: Sources) -> list[str]:
    rooms = {room(module) for module in modules}
    return [f"{name} has no floor" for name in sorted(rooms - set(FLOOR))]


def upward(modules: Sources) -> list[str]:
    return [
        f"{module} imports {target}, which is not on a lower floor"
        for module, target in imports(modules)
        if room(module) != room(target)
        and room(module) not in DOORS
        and FLOOR.get(room(target), 8) >= FLOOR.get(room(module), 0)
    ]


def member(module: str) -> tuple[str, str]:
    """Return the open set that a module belongs to and its member there, or two empty names."""
    for place in OPEN:
        start = f"{ROOT.name}.{place}."
        if module.startswith(start):
            return place, module[len(start) :].split(".")[0]
    return "", ""


def by_name(modules: Sources) -> list[str]:
    """Return the imports of a member of an open set from outside it and its namesakes."""
    return [
        f"{module} imports {target}, which is found by discovery"
        for module, target in imports(modules)
        if member(target)[0] and member(module)[1] != member(target)[1]
    ]


def root_imports(modules: Sources) -> list[str]:
    found = []
    for module, text in modules.items():
        for node in ast.walk(parsed(text)):
            relative = isinstance(node, ast.ImportFrom) and node.level
            if relative or ROOT.name in targets(node, modules):
                found.append(f"{module}:{node.lineno} imports the package root")  # type: ignore[attr-defined]
    return found


def foreign(modules: Sources) -> list[str]:
    return [
        f"{module} imports {target}"
        for module, text in modules.items()
        if not module.removeprefix(f"{ROOT.name}.").startswith(AT_HOME)
        for node in at_top(parsed(text))
        for target in targets(node, modules)
        if target.split(".")[0] in FOREIGN
    ]


def circles(modules: Sources) -> list[str]:
    """Return the modules that cannot be put in an order in which each imports earlier ones."""
    left: dict[str, set[str]] = {module: set() for module in modules}
    for module, target in imports(modules):
        if target in modules:
            left[module].add(target)
    while free := [module for module, needed in left.items() if not needed & set(left)]:
        for module in free:
            del left[module]
    return sorted(left)


def named_twice(modules: Sources) -> list[str]:
    """Return the file names and class names that stand for two things."""
    files: dict[str, list[str]] = {}
    classes: dict[str, list[str]] = {}
    for module, text in modules.items():
        files.setdefault(module.rpartition(".")[2], []).append(module)
        for node in ast.walk(parsed(text)):
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name.lstrip("_"), []).append(module)
    return [
        f"{name} is the name of {' and of '.join(places)}"
        for names in (files, classes)
        for name, places in names.items()
        if len(places) > 1 and name not in SAME_IDEA
    ]


def format_names(modules: Sources) -> list[str]:
    """Return the comparisons of a ``name`` with that of a format, instead of an attribute of it."""
    names = {format.attributes.name for format in built_in_formats()}
    return [
        f"{module}:{node.lineno} asks for {text.value!r} by its name"
        for module, source in modules.items()
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.Compare) and "name" in map(attribute, ast.walk(node))
        for text in ast.walk(node)
        if isinstance(text, ast.Constant) and text.value in names
    ]


def attribute(node: ast.AST) -> str | None:
    return node.attr if isinstance(node, ast.Attribute) else None


def caches(modules: Sources) -> list[str]:
    """Return the containers of modules that begin empty, which all files and threads would fill."""
    return [
        f"{module}:{node.lineno} is an empty container, filled while the program runs"
        for module, source in modules.items()
        for node in parsed(source).body
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None
        if ast.unparse(node.value) in ("[]", "{}", "list()", "dict()", "set()")
    ]


# Words of torch, which only its adapter, its formats and the models made with it may know.
TORCH_WORDS = frozenset(
    {"_buffers", "_extra_state", "_load_from_state_dict", "_modules", "_parameters", "data_ptr"}
    | {"_non_persistent_buffers_set", "_save_to_state_dict", "get_extra_state", "is_meta"}
    | {"is_quantized", "is_sparse", "requires_grad", "set_extra_state", "untyped_storage"}
)
TORCH_AT_HOME = (
    "caten_sd.adapters.torch",
    "caten_sd.formats.torch",
    "caten_sd.lisp.operators",
    "caten_sd.nn",
)


def torch_words(modules: Sources) -> list[str]:
    """Return the attributes and the texts, as for getattr, that are words of torch."""
    return [
        f"{module}:{node.lineno} knows torch's {word}"
        for module, source in modules.items()
        if not module.startswith(TORCH_AT_HOME)
        for node in ast.walk(parsed(source))
        for word in (attribute(node), getattr(node, "value", None))
        if isinstance(word, str) and word in TORCH_WORDS
    ]


RULES = [
    unknown,
    upward,
    by_name,
    root_imports,
    foreign,
    circles,
    named_twice,
    format_names,
    caches,
    torch_words,
]


@pytest.mark.parametrize("rule", RULES)
def test_the_house_stands(rule) -> None:  # type: ignore[no-untyped-def]
    assert rule(sources()) == []


@pytest.mark.parametrize(
    ("rule", "modules"),
    [
        (unknown, {"caten_sd.helpers": ""}),
        (unknown, {"caten_sd.files_too.x": ""}),
        (upward, {"caten_sd.state.leaf": "from caten_sd.objects.extract import x"}),
        (upward, {"caten_sd.loading.load": "try:\n    import caten_sd.nn.linear\nexcept: pass"}),
        (upward, {"caten_sd.loading.load": "if TYPE_CHECKING:\n    import caten_sd.files.x"}),
        (upward, {"caten_sd.objects.place": "def f():\n    from caten_sd.mapping.rows import x"}),
        (upward, {"caten_sd.formats.npz": "class A:\n    from caten_sd.cli import x"}),
        (by_name, {"caten_sd.formats.npz": "from caten_sd.formats.npy import x"}),
        (by_name, {"caten_sd.adapters.torch.x": "from caten_sd.adapters import numpy"}),
        (by_name, {"caten_sd.cli.show": "def f():\n    from caten_sd.formats.npy import x"}),
        (root_imports, {"caten_sd.loading.load": "def f():\n    import caten_sd"}),
        (root_imports, {"caten_sd.loading.load": "from caten_sd import get_state_dict"}),
        (root_imports, {"caten_sd.nn.linear": "from . import walk"}),
        (foreign, {"caten_sd.objects.extract": "import numpy as np"}),
        (foreign, {"caten_sd.formats.npz": "from numpy.lib import format"}),
        (circles, {"caten_sd.a": "import caten_sd.b", "caten_sd.b": "import caten_sd.a"}),
        (
            circles,
            {
                "caten_sd.a": "if TYPE_CHECKING:\n    import caten_sd.b",
                "caten_sd.b": "def f():\n    import caten_sd.a",
            },
        ),
        (named_twice, {"caten_sd.mapping.row": "class Row: 1", "caten_sd.nn.x": "class _Row: 1"}),
        (named_twice, {"caten_sd.mapping.walk": "", "caten_sd.nn.walk": ""}),
        (format_names, {"caten_sd.files.x": "def f():\n    return 'npy' != format.name"}),
        (format_names, {"caten_sd.files.x": "if self.format.name in ('x', 'torch zip'): pass"}),
        (caches, {"caten_sd.files.x": "_last: list[str] = []"}),
        (caches, {"caten_sd.files.x": "seen = set()"}),
        (torch_words, {"caten_sd.loading.x": "def f(m):\n    return m._modules"}),
        (torch_words, {"caten_sd.state.x": "getattr(leaf, 'is_meta', False)"}),
    ],
)
def test_a_house_that_does_not_stand_is_noticed(rule, modules: Sources) -> None:  # type: ignore[no-untyped-def]
    modules = {**modules, "caten_sd.adapters.numpy": "", "caten_sd.formats.npy": ""}
    assert rule(modules)


def test_what_is_allowed_is_not_noticed() -> None:
    allowed = {
        "caten_sd.objects.extract": (
            "def f():\n    import numpy\n    from caten_sd.state.leaf import x\n"
        ),
        "caten_sd.adapters.torch.modules": "import torch\nimport caten_sd.adapters.torch.leaves\n",
        "caten_sd.adapters.torch.leaves": "from caten_sd.state.leaf import x\nm._modules",
        "caten_sd.state.leaf": "class Leaf: 1\nTABLE = {1: 2}\n",
        "caten_sd.files.x": "if path.name == 'x' or inner.name != other.name or kind == 'npy': 1",
    }
    for rule in RULES:
        assert rule(allowed) == []


def test_every_room_of_the_table_is_there() -> None:
    rooms = {room(module) for module in sources()}
    assert set(FLOOR) == rooms
    assert len(rooms - DOORS) <= MOST_ROOMS
    assert len(FLOORS) <= 7


HEAVY = [*FOREIGN, "attrs", "attr", "multiprocessing", "asyncio", "logging", "http"]
FILE_WORK = f"""
import sys
from caten_sd import read_state_dict
from caten_sd.cli.show import FileSummary
state_dict = read_state_dict(sys.argv[1])
assert str(FileSummary("w", state_dict))
print(*state_dict, *(name for name in {HEAVY} if name in sys.modules))
"""


@pytest.mark.parametrize(
    ("before", "expected"), [("", "w"), ("import numpy, attrs\n", "w numpy attrs attr")]
)
def test_listing_a_file_imports_no_framework(before: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    caten_sd.write_state_dict({"w": np.zeros(2, "f4")}, path)
    run = [sys.executable, "-c", before + FILE_WORK, str(path)]
    # Without those, coverage would start in the process and import modules of its own.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    result = subprocess.run(
        run, capture_output=True, text=True, cwd=ROOT.parent, env=env, check=False
    )
    found = set(result.stdout.split())
    assert set(expected.split()) <= found, result.stderr
    if not before:
        assert found == {"w"}


def generics() -> list[str]:
    """Return the names of the generic functions, of all modules."""
    return [
        node.name
        for source in sources().values()
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.FunctionDef) and "generic" in map(ast.unparse, node.decorator_list)
    ]


def test_each_generic_is_in_one_of_the_two_tables_of_the_readme() -> None:
    readme = (ROOT.parent / "README.md").read_text()
    tables = readme.split("## The generic functions")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in tables.splitlines() if line.startswith("| `")]
    named = [name for cell in cells for name in re.findall(r"`(\w+)|, (\w+)\(", cell)]
    listed = [one or other for one, other in named]
    assert sorted(listed) == sorted(generics())
    assert len(listed) <= 18
