"""Adapters are imported when their package is met, entry points when nothing else answers."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from caten_sd.dispatch.foreign import ForeignPackages
from caten_sd.dispatch.generic import GenericFunction, generic
from caten_sd.errors import DispatchError, NoApplicableMethodError

PACKAGE = "fake_adapters"
Write = Callable[[str, str], None]


@generic
def probe(thing: Any, /) -> str:
    """Say which adapter answered."""
    raise NotImplementedError


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Adapters in a package of their own, which find the generic as its attribute ``probe``."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(GenericFunction, "foreign", ForeignPackages(PACKAGE, "fake.group"))
    monkeypatch.setattr(probe, "_methods", {})
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [])
    probe.clear_cache()
    importlib.import_module(PACKAGE).probe = probe  # type: ignore[attr-defined]
    yield lambda name, text: void((folder / f"{name}.py").write_text(f"{HEAD}{text}"))
    for name in [n for n in sys.modules if n.startswith(PACKAGE)]:
        del sys.modules[name]


HEAD = f"from {PACKAGE} import probe\nimport time\n"
ANSWER = "@probe.register(object)\ndef answer(thing): return __name__\n"


def void(_: object) -> None: ...


def foreign_class(package: str, bases: tuple[type, ...] = (), **body: Any) -> type:
    return type("Foreign", bases, {"__module__": f"{package}.deep.inside", **body})


def announce(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    points = [EntryPoint(n.partition(":")[0], f"{PACKAGE}.{n}", "fake.group") for n in names]
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: points if group == "fake.group" else []
    )


def test_the_package_of_a_class_is_met_and_no_other(write: Write) -> None:
    write("fakelib", ANSWER)
    write("otherlib", "raise AssertionError('not met')")
    assert probe(foreign_class("fakelib")()) == f"{PACKAGE}.fakelib"


def test_a_subclass_of_a_foreign_class_meets_its_package(write: Write) -> None:
    write("fakelib", ANSWER)
    ours = type("Ours", (foreign_class("fakelib"),), {})
    assert probe(ours()) == f"{PACKAGE}.fakelib"


def test_a_kind_names_its_package(write: Write) -> None:
    write("fakelib", ANSWER)
    kind = foreign_class("ours", __adapter__="fakelib")
    assert probe(kind()) == f"{PACKAGE}.fakelib"
    assert [m.function.__module__ for m in probe.methods(kind)] == [f"{PACKAGE}.fakelib"]


def test_an_adapter_comes_before_a_method_that_is_there_already(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = foreign_class("fakelib")
    write("fakelib", "probe.register(probe.foreign_class)(lambda thing: 'specific')\n")
    monkeypatch.setattr(probe, "foreign_class", cls, raising=False)
    probe.register(object)(lambda thing: "general")
    assert probe(cls()) == "specific"
    assert probe(1) == "general"


@pytest.mark.parametrize("module", [None, 3, "", "not-a-name", "__main__"])
def test_a_module_name_that_is_none_meets_nobody(write: Write, module: Any) -> None:
    probe.register(object)(lambda thing: "general")
    assert probe(type("Odd", (), {"__module__": module})()) == "general"


def test_an_adapter_that_fails_says_which_and_is_tried_again(write: Write) -> None:
    write("fakelib", "import nowhere_to_be_found")
    for _ in range(2):
        with pytest.raises(DispatchError, match=r"fake_adapters.fakelib, the adapter for fakelib"):
            probe(foreign_class("fakelib")())


def test_threads_wait_for_an_adapter_that_another_imports(write: Write) -> None:
    write("fakelib", f"time.sleep(0.1)\n{ANSWER}")
    cls, found = foreign_class("fakelib"), []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        try:
            found.append(probe(cls()))
        except DispatchError as error:
            found.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [f"{PACKAGE}.fakelib"] * 8


def test_an_adapter_may_dispatch_while_it_is_imported(write: Write) -> None:
    write(
        "fakelib", f"{ANSWER}T = type('T', (), {{'__module__': 'fakelib'}})\nearly = probe(T())\n"
    )
    assert probe(foreign_class("fakelib")()) == f"{PACKAGE}.fakelib"
    assert sys.modules[f"{PACKAGE}.fakelib"].early == f"{PACKAGE}.fakelib"  # type: ignore[attr-defined]


def test_entry_points_are_loaded_on_a_miss_and_once(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("plugin", "probe.register(int)(lambda thing: 'plugin')\nprobe.loaded = 1\n")
    announce(monkeypatch, "plugin")
    monkeypatch.setattr(probe, "loaded", 0, raising=False)
    probe.register(str)(lambda thing: "own")
    assert (probe(""), probe.loaded) == ("own", 0)
    assert (probe(1), probe.loaded) == ("plugin", 1)
    monkeypatch.setattr(probe, "loaded", 2)
    with pytest.raises(NoApplicableMethodError):
        probe(b"")
    assert probe.loaded == 2


def test_an_entry_point_with_the_name_of_a_package_is_loaded_when_its_class_is_met(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe.register(object)(lambda thing: "default")
    write("plugin", "probe.register(object)(lambda thing: 'bad')\nraise AssertionError('not met')")
    write(
        "announced", "class Thing: __module__ = 'fakelib'\nprobe.register(Thing)(lambda t: 'met')"
    )
    adapter = EntryPoint("fakelib", f"{PACKAGE}.announced", "fake.group")
    other = EntryPoint("otherlib", f"{PACKAGE}.plugin", "fake.group")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [other, adapter])
    assert probe(1) == "default"
    assert f"{PACKAGE}.announced" not in sys.modules
    assert probe(foreign_class("fakelib")()) == "default"
    assert probe(sys.modules[f"{PACKAGE}.announced"].Thing()) == "met"


def test_a_broken_adapter_is_named_each_time_that_its_package_is_met(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe.register(object)(lambda thing: "default")
    write("fake_adapter", "import nowhere_to_be_found")
    broken = EntryPoint("fakelib", f"{PACKAGE}.fake_adapter", "fake.group")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [broken])
    for _ in range(2):
        with pytest.raises(DispatchError, match=r"for fakelib .*nowhere_to_be_found.*remove it"):
            probe(foreign_class("fakelib")())
    assert probe("") == "default"


def test_no_entry_point_is_looked_for_on_behalf_of_python_itself(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(group: str) -> list[EntryPoint]:
        raise AssertionError(f"{group} was looked for")

    monkeypatch.setattr(importlib.metadata, "entry_points", fail)
    probe.register(object)(lambda thing: "default")
    things = (1, [], Path(), write, foreign_class("__main__")(), foreign_class("caten_sd.state")())
    assert {probe(thing) for thing in things} == {"default"}


def test_a_broken_entry_point_hides_neither_the_others_nor_the_sentence(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("broken", "probe.tries.append(1)\nimport nowhere_to_be_found")
    monkeypatch.setattr(probe, "tries", [], raising=False)
    write("plugin", "probe.register(int)(lambda thing: 'plugin')\n")
    announce(monkeypatch, "broken", "plugin")
    assert probe(1) == "plugin"
    match = (
        r"no method of probe takes \(str\); .*\(int\); add one with @probe.register\(str\)"
        r"; the plug-in broken .* cannot be loaded \(ModuleNotFoundError: .*\)"
    )
    with pytest.raises(NoApplicableMethodError, match=match):
        probe("")
    assert probe.tries == [1]


def test_an_entry_point_may_miss_while_it_is_loaded(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("plugin", f"try: probe(1)\nexcept TypeError: pass\n{ANSWER}")
    announce(monkeypatch, "plugin:answer")
    assert probe(1) == f"{PACKAGE}.plugin"
    assert probe.foreign.failures == {}


def test_importing_generics_imports_no_foreign_package() -> None:
    heavy = ("numpy", "torch", "attrs", "attr", "importlib.metadata", "caten_sd.adapters")
    script = f"import sys, caten_sd.dispatch.generic\nprint(set({heavy}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")
