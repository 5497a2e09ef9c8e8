"""Pickles made to harm: no code, no import, bounded time and memory, one sentence."""

from __future__ import annotations

import argparse
import collections
import contextlib
import copyreg
import gc
import pickle
import struct
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd import read_state_dict
from caten_sd.encodings.pickle.interpreter import unpickle
from caten_sd.errors import FormatError
from tests.properties import examples


class Config(argparse.Namespace):
    pass


def read(data: bytes, **options: Any) -> Any:
    return unpickle(data, source_name="a.pkl", **options).value


def refused(data: bytes, words: str = "its pickle") -> None:
    with pytest.raises(FormatError, match=words) as caught:
        read(data)
    assert str(caught.value).startswith("a.pkl: ")
    assert "\n" not in str(caught.value)


def call(module: str, name: str, *args: str) -> bytes:
    texts = b"".join(b"X" + struct.pack("<I", len(arg)) + arg.encode() for arg in args)
    return f"c{module}\n{name}\n".encode() + b"(" + texts + b"tR"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"), ("posix", "system"), ("nt", "system"), ("builtins", "eval"),
        ("__builtin__", "exec"), ("importlib", "import_module"), ("subprocess", "Popen"),
        ("pkgutil", "resolve_name"), ("marshal", "loads"), ("pickle", "loads"), ("io", "BytesIO"),
        ("commands", "getoutput"), ("torch.utils.collect_env", "run"), ("torch", "load"),
        ("torch._utils", "_rebuild_evil_tensor"), ("numpy.testing._private.utils", "runstring"),
    ],
)  # fmt: skip
def test_a_call_that_no_checkpoint_needs_is_refused_by_name(module: str, name: str) -> None:
    full = f"{'builtins' if module == '__builtin__' else module}.{name}"
    for data in (
        call(module, name, "x"),
        b"(" + b"U\1x" + f"i{module}\n{name}\n".encode(),
        f"(c{module}\n{name}\n".encode() + b"U\1xo",
        f"c{module}\n{name}\n".encode() + b"(U\1xt\x81",
        f"c{module}\n{name}\n".encode() + b"(U\1xt}\x92",
        b"\x8c"
        + bytes([len(module)])
        + module.encode()
        + b"\x8c"
        + bytes([len(name)])
        + name.encode()
        + b"\x93(U\1xtR",
    ):
        refused(data + b".", f"asks to call {full}; .* nothing was run")
        refused(data + b"0N.", f"asks to call {full}")
        refused(data + b"\xff\xff", f"asks to call {full}")


def test_nothing_is_imported_and_nothing_is_run(tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / "canary_module.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    found = read(b"(ccanary_module\nf\n" + call("canary_module", "Net", "x") + b"l.")
    assert [each.name for each in found] == ["canary_module.f", "canary_module.Net"]
    assert "canary_module" not in sys.modules


def test_the_result_of_a_call_may_be_called_and_stays_inert() -> None:
    made = read(call("models", "make") + b"(K\1tR.")
    assert (made.name, made.args[0].name, made.args[1:]) == ("models.make()", "models.make", (1,))
    refused(b"K\1)R.", "1 is called")


def test_an_attribute_of_python_that_is_called_is_named() -> None:
    for owner in ("os", "subprocess"):
        found = b"cbuiltins\ngetattr\n(c" + owner.encode() + b"\nsys\nX\3\0\0\0runtR"
        refused(found + b"(X\2\0\0\0lstR.", f"asks to call {owner}.sys.run")
    assert read(b"cbuiltins\ngetattr\n(cm\nC\nX\3\0\0\0runtR)R.").name == "m.C.run"


def test_an_attribute_is_set_on_objects_of_the_pickle_only() -> None:
    setting = b"cbuiltins\nsetattr\n(cm\nC\n)RX\1\0\0\0aK\1tR."
    assert read(setting) is None
    refused(b"cbuiltins\nsetattr\n(cos\npath\nX\1\0\0\0aK\1tR.", "attribute is set on os.path")
    assert read(b"cm\nC\n)Rp1\n0cbuiltins\nsetattr\n(g1\nX\1\0\0\0aK\1tR0g1\n.").state == {"a": 1}


def test_the_copyreg_registry_is_not_asked() -> None:
    copyreg.add_extension(__name__, "Config", 200)
    try:
        refused(pickle.dumps(Config, 2), "no such opcode")
    finally:
        copyreg.remove_extension(__name__, "Config", 200)


MALFORMED = {
    "empty": b"",
    "no stop": b"\x80\x02N",
    "stop alone": b"\x80\x02.",
    "underflow": b"\x80\x02R.",
    "pop of nothing": b"0.",
    "no mark": b"\x80\x02t.",
    "protocol 200": b"\x80\xc8N.",
    "no such opcode": b"\xfe.",
    "memo never written": b"\x80\x02h\x63.",
    "memo by no number": b"Np-1\n.",
    "frame too long": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "text of 2^62": b"\x8d" + struct.pack("<Q", 2**62) + b"a.",
    "bytes of 1 TB": b"\x8e" + struct.pack("<Q", 2**40) + b"a.",
    "bytearray of 64 GB": b"\x96" + struct.pack("<Q", 2**36) + b"a.",
    "integer of 2 GB": b"\x8b" + struct.pack("<i", 2**31 - 1) + b"\1.",
    "integer of negative length": b"\x8b" + struct.pack("<i", -5) + b"....",
    "string of negative length": b"T" + struct.pack("<i", -5) + b"....",
    "integer of 300,000 digits": b"I" + b"9" * 300_000 + b"\n.",
    "line without end": b"I" + b"9" * 100,
    "no number": b"Iabc\n.",
    "no float": b"Fabc\n.",
    "no quotes": b"Sabc\n.",
    "half quotes": b"S'abc\n.",
    "no UTF-8": b"X\1\0\0\0\xff.",
    "item on a list": b"]K\0Ns.",
    "append to a dict": b"}Na.",
    "add to a list": b"](K\1\x90.",
    "key without a value": b"}(Nu.",
    "key twice": b"}(U\1aK\1U\1aK\2u.",
    "unhashable key": b"}]Ns.",
    "unhashable in a set": b"\x8f(]\x90.",
    "unhashable in a frozenset": b"(]\x91.",
    "unhashable in a tuple": b"}]\x85Ns.",
    "global by a number": b"K\1K\2\x93.",
    "state of a dict": b"}}b.",
    "state of a class": b"cmodels\nNet\n}b.",
    "arguments that are a list": b"cmodels\nNet\n]R.",
    "names that are a list": b"cmodels\nNet\n)]\x92.",
    "object of no class": b"ccopyreg\n_reconstructor\n(K\1K\2NtR.",
    "new object of no class": b"ccopyreg\n__newobj__\nK\1\x85R.",
    "object of nothing": b"(o.",
    "kept elsewhere": b"K\1Q.",
    "another channel": b"\x97.",
    "bytes of a dict": b"c_codecs\nencode\n}\x85R.",
    "bytes in another code": call("_codecs", "encode", "a", "rot13") + b".",
    "complex of texts": call("builtins", "complex", "1", "2") + b".",
    "set of a number": b"cbuiltins\nset\nK\1\x85R.",
    "mapping of numbers": b"ccollections\nOrderedDict\n](K\1K\2e\x85R.",
    "list of a number": b"ccollections\ndeque\nK\1\x85R.",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_pickle_is_refused(case: str) -> None:
    refused(MALFORMED[case])


# What is a few bytes in the file and endless in memory or time for who takes its word.
TOWER = b"K\1" + b"2\x86" * 60
BOMBS = {
    "hash of a tower of pairs": b"}" + TOWER + b"Ns.",
    "set of a tower of pairs": b"\x8f(" + TOWER + b"\x90.",
    "called with a tower": b"K\1" + TOWER + b"R.",
    "hash of a deep tuple": b"}N" + b"\x85" * 250_000 + b"Ns.",
    "integers of one hash": b"}("
    + b"".join(
        b"\x8a\x0b" + (n * (2**61 - 1) << 10).to_bytes(11, "little") + b"N" for n in range(1, 9)
    )
    + b"u.",
    "open marks": b"(" * 300_000 + b".",
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_bomb_is_refused_and_not_set_off(case: str) -> None:
    refused(BOMBS[case])


@pytest.mark.parametrize("data", [b"Nr\xfe\xff\xff\x7f.", b"Np9999999999\n.", TOWER + b"."])
def test_what_python_would_allocate_for_costs_nothing_here(data: bytes) -> None:
    tracemalloc.start()
    read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    "data",
    [
        b"]" * 250_000 + b"a" * 249_999 + b".",
        b"N" + b"\x85" * 250_000 + b".",
        b"}U\1k" * 50_000 + b"N" + b"s" * 50_000 + b".",
        b"cm\nC\n" + b"q\0)\x81h\0" * 50_000 + b")\x81" + b"b" * 50_000 + b".",
    ],
)
def test_neither_reading_nor_freeing_depth_recurses(data: bytes) -> None:
    read(data)
    gc.collect()


@settings(max_examples=examples(400))
@given(st.sampled_from(range(6)), st.data())
def test_damage_never_escapes_the_librarys_own_error(protocol: int, data: Any) -> None:
    value = [{"a": (1, 2.5, None), ("b", 2): {True, 1 << 70}}, "é", b"x" * 9, Config(lr=1j)]
    pickled = bytearray(pickle.dumps([value, collections.OrderedDict(a=value)], protocol))
    for _ in range(data.draw(st.integers(1, 4))):
        pickled[data.draw(st.integers(0, len(pickled) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FormatError):
        read(bytes(pickled))


@settings(max_examples=examples(500))
@given(
    st.lists(
        st.sampled_from([bytes([code]) for code in range(256)] + [b"cm\nf\n", b"\0\0\0\0", b"1\n"]),
        max_size=40,
    )
)
def test_garbage_never_escapes_the_librarys_own_error(parts: list[bytes]) -> None:
    with contextlib.suppress(FormatError):
        read(b"".join(parts) + b".", persistent_load=lambda identity: identity)


def test_a_tensor_next_to_a_foreign_name_comes_out_and_nothing_is_imported(tmp_path: Path) -> None:
    (tmp_path / "foreign_module.py").write_text("raise SystemExit")
    foreign = b"cforeign_module\nanything\n"
    array = pickle.dumps(np.ones(2), 2)[2:-1]
    path = tmp_path / "w.pkl"
    path.write_bytes(b"\x80\x02}(U\1w" + array + b"U\1x" + foreign + b"u.")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        found = read_state_dict(path)
    assert list(found) == ["w"]
    assert found["w"].numpy().tolist() == [1, 1]
    assert "foreign_module" not in sys.modules


def test_a_list_of_over_four_million_values_is_one_value(tmp_path: Path) -> None:
    path = tmp_path / "w.pkl"
    path.write_bytes(pickle.dumps({"w": np.ones(2), "steps": [1] * 4_000_001}))
    assert list(read_state_dict(path)) == ["w"]
