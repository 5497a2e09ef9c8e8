from __future__ import annotations

import argparse
import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from caten_sd.encodings.pickle.inert_values import Instance, Ordered, Reference
from caten_sd.encodings.pickle.object_tree import MAX_DEPTH
from caten_sd.errors import FormatError
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.formats.torch.pickles import OPAQUE, load, tree_of
from caten_sd.formats.torch.resolve import resolve
from caten_sd.state.backing import BytesBacking
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Opaque
from caten_sd.state.source import Source
from caten_sd.state.tree import flatten

LEAF = LazyTensor(Source("a", BytesBacking(bytes(4)), 0, 4), 0, DTYPES["float32"], (1,))


def tree(value: Any, **options: Any) -> Any:
    return resolve(value, **options)[0]


def module(name: str = "models.Net", **parts: Any) -> Instance:
    state = {"_parameters": Ordered(), "_buffers": Ordered(), "_modules": Ordered()}
    return Instance(name, (), {**state, **parts})


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("mask", torch.ones(2), persistent=False)
        self.register_buffer("kept", torch.arange(2.0))
        self.register_buffer("absent", None)
        self.gain = nn.Parameter(torch.ones(1))
        self.cache = torch.ones(9)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.linear = nn.Linear(2, 3, bias=False)
        self.tied = nn.Linear(2, 3, bias=False)
        self.tied.weight = self.linear.weight
        self.again = self.blocks[0]
        self.act = nn.functional.relu
        self.config = argparse.Namespace(lr=0.1)


def flat(node: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {prefix: node}
    parts = {}
    for name, child in node.items():
        parts.update(flat(child, f"{prefix}.{name}" if prefix else name))
    return parts


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_whole_pickled_module_gives_what_its_state_dict_gives(protocol: int) -> None:
    net = Net()
    file = io.BytesIO()
    torch.save(net, file, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    from caten_sd.formats.torch.legacy_stream import read_stream

    data = file.getvalue().replace(b"Net", b"Gon").replace(b"Block", b"Glock")
    source = Source("a.pt", BytesBacking(data), 0, len(data))
    found, said = tree_of(read_stream(source), source.name)
    leaves, expected = flat(found), net.state_dict()
    assert list(leaves) == list(expected)
    for key, tensor in expected.items():
        assert torch.equal(leaves[key].torch(), tensor)
    assert leaves["linear.weight"] is leaves["tied.weight"]
    assert found["blocks"]["0"] is found["again"]
    assert OPAQUE not in said


def test_a_module_that_torch_fx_traced(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    torch.save(torch.fx.symbolic_trace(net), tmp_path / "a.pt")
    with read_state_dict(tmp_path / "a.pt") as found:
        assert list(found) == list(net.state_dict())
        assert torch.equal(found["0.weight"].torch(), net.state_dict()["0.weight"])


def test_what_stays_opaque_is_counted_by_class() -> None:
    given = {"a": [argparse.Namespace(), argparse.Namespace()], "w": torch.Generator}
    data = pickle.dumps(given)
    read = load(Source("a.pkl", BytesBacking(data), 0, len(data)))
    found, said = tree_of(read, "a.pkl")
    assert said == {OPAQUE: {"argparse.Namespace": 2}}
    assert [each.name for each in found["a"]] == ["argparse.Namespace"] * 2
    assert found["w"].name == "torch._C.Generator"


def test_containers_of_unknown_classes_are_plain_ones() -> None:
    table, words = Instance("m.Table"), Instance("m.Words")
    table.entries, words.entries = {"w": LEAF}, [LEAF]
    assert tree({"a": table, "b": words, "c": (LEAF,)}) == {
        "a": {"w": LEAF},
        "b": [LEAF],
        "c": (LEAF,),
    }


def test_a_module_without_parts_or_with_odd_ones() -> None:
    assert tree(module()) == {}
    assert tree(module(_parameters={"w": LEAF, "none": None}, _buffers=None)) == {"w": LEAF}
    assert tree(module(_buffers={"b": LEAF}, _non_persistent_buffers_set={"b"})) == {}
    assert tree(module(_buffers={"b": LEAF}, _non_persistent_buffers_set=7)) == {"b": LEAF}
    slotted = Instance("m.Net", (), (module(_parameters={"w": LEAF}).state, {"slot": 1}))
    assert tree(slotted) == {"w": LEAF}
    with pytest.raises(ValueError, match="not text"):
        tree(module(_parameters={1: LEAF}))


def test_script_objects_give_what_their_class_declares() -> None:
    inner = Instance("__torch__.Inner", (), {"training": True, "w": LEAF, "state": LEAF})
    outer = Instance("__torch__.Outer", (), {"inner": inner, "b": LEAF, "names": ["x"]})
    assert tree(outer) == {"b": LEAF, "inner": {"w": LEAF, "state": LEAF}}
    declared = {"__torch__.Inner": frozenset({"w"}), "__torch__.Outer": frozenset[str]()}
    assert tree(outer, attributes=declared.get) == {"inner": {"w": LEAF}}


def test_code_among_the_tensors_of_a_state_dict_takes_none_of_them_with_it() -> None:
    function, kind = Reference("m.f", "a.pt"), Reference("m.Net", "a.pt")
    for given in ({"x": function, "w": LEAF}, {"x": kind, "w": LEAF}):
        assert tree(given) == given


def ring() -> Any:
    one: list[Any] = []
    one.append({"again": one})
    return one


def nested(depth: int) -> Any:
    value: Any = LEAF
    for _ in range(depth):
        value = [value]
    return value


def fanned(levels: int) -> Any:
    value: Any = {"w": LEAF}
    for _ in range(levels):
        value = {str(number): value for number in range(10)}
    return value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (nested(MAX_DEPTH + 2), "nest more than 100 deep"),
        (fanned(30), "unfold to more than 4,000,000 entries"),
        (module(_modules={"a": nested(MAX_DEPTH + 2)}), "nest more than 100 deep"),
    ],
)
def test_endless_trees_are_refused(value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tree(value)


def test_a_container_or_object_that_holds_itself_is_opaque_there() -> None:
    held = module(_parameters={"w": LEAF})
    held.state["_modules"]["self"] = held
    assert tree(held) == {"w": LEAF, "self": held}
    linked = module(_parameters={"w": LEAF})
    linked.state["parent"] = linked
    assert tree(linked) == {"w": LEAF}
    assert tree(ring())[0]["again"].name == "a list that holds itself"


def test_what_nests_too_deep_without_a_tensor_takes_no_tensor_with_it() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    found = tree({"deep": deep, "w": LEAF})
    assert found["w"] is LEAF
    assert list(flatten(found, "").leaves) == ["w"]


def test_what_is_endless_is_the_files_fault() -> None:
    data = pickle.dumps(None)
    read = load(Source("a.pkl", BytesBacking(data), 0, len(data)))._replace(value=fanned(30))
    with pytest.raises(FormatError, match=r"^a\.pkl: its containers unfold"):
        tree_of(read, "a.pkl")


def test_shared_containers_stay_shared() -> None:
    shared = {"w": LEAF}
    found = tree([shared, shared])
    assert found[0] is found[1]


def test_other_objects_are_left_as_they_are() -> None:
    opaque = Opaque("m.C")
    assert tree(opaque) is opaque
    assert tree("text") == "text"
