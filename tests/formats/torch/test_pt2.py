"""Programs of torch.export: their weights are those of ``torch.export.load(path).state_dict``."""

from __future__ import annotations

import json
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._export.serde.serialize import SCHEMA_VERSION, serialize
from torch.export.pt2_archive._package import package_pt2
from torch.testing._internal.two_tensor import TwoTensor

import caten_sd as sd
from caten_sd.cli import main
from caten_sd.errors import FormatError
from caten_sd.state.dtype import DTYPES


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of what it deprecates
        yield


class Odd(nn.Module):
    """Ties, views, a scalar, an empty tensor, buffers of both kinds, a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 5), nn.Linear(3, 5)
        self.b.weight = self.a.weight
        base = torch.arange(24.0).reshape(4, 6)
        self.view, self.turned = nn.Parameter(base[1:3, ::2]), nn.Parameter(base.t())
        self.scalar, self.empty = nn.Parameter(torch.tensor(3.0)), nn.Parameter(torch.zeros(0, 3))
        self.register_buffer("kept", torch.arange(4))
        self.register_buffer("computed", torch.ones(2), persistent=False)
        self.constant = torch.full((3,), 2.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [self.view, self.turned, self.empty, self.kept, self.computed, self.constant]
        return self.a(x) + self.b(x) + self.scalar + sum(part.sum() for part in parts)


class Holder(nn.Module):
    """One tensor of any dtype, read but not computed with."""

    def __init__(self, tensor: torch.Tensor) -> None:
        super().__init__()
        self.w = nn.Parameter(tensor, requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


def exported(model: nn.Module) -> torch.export.ExportedProgram:
    return torch.export.export(model, (torch.ones(1, 3),))


def save_new(program: torch.export.ExportedProgram, path: Path) -> None:
    torch.export.save(program, path)


def save_older(program: torch.export.ExportedProgram, path: Path) -> None:
    """As torch 2.7 and 2.8 did: the same archive, with the tensors by ``torch.save``."""
    torch.export.save(program, path)
    parts = serialize(program)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(members)).partition("/")[0]
    for kind, data in (("weights", parts.state_dict), ("constants", parts.constants)):
        members = {n: d for n, d in members.items() if not n.startswith(f"{root}/data/{kind}/")}
        members[f"{root}/data/{kind}/model.pt"] = data  # type: ignore[assignment]
    pack(path, members)


def save_oldest(program: torch.export.ExportedProgram, path: Path) -> None:
    """As torch before 2.6 did."""
    parts = serialize(program)
    members = {
        "serialized_exported_program.json": parts.exported_program,
        "serialized_state_dict.pt": parts.state_dict,
        "serialized_constants.pt": parts.constants,
        "serialized_example_inputs.pt": parts.example_inputs,
        "version": ".".join(map(str, SCHEMA_VERSION)),
    }
    pack(path, members)


def pack(path: Path, members: dict[str, Any]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def assert_equals_torchs(path: Path) -> None:
    expected, found = torch.export.load(path).state_dict, sd.read_state_dict(path)
    assert list(found) == list(expected)
    for key, tensor in expected.items():
        ours = found[key].torch()
        assert (ours.dtype, ours.shape) == (tensor.dtype, tensor.shape)
        same = [each.detach().contiguous().reshape(-1).view(torch.uint8) for each in (ours, tensor)]
        assert torch.equal(*same), key


SAVES = [save_new, save_older, save_oldest]


@pytest.mark.parametrize("save", SAVES)
@pytest.mark.parametrize("name", ["m.pt2", "m.pt", "m.zip", "m"])
def test_the_weights_are_those_of_the_program(
    tmp_path: Path, save: Callable[..., None], name: str
) -> None:
    save(exported(Odd()), tmp_path / name)
    assert_equals_torchs(tmp_path / name)
    found = sd.read_state_dict(tmp_path / name)
    assert found.ties == {"b.weight": "a.weight"}
    assert any("constants" in each for each in found.rest)
    assert any("inputs" in each for each in found.rest)
    model = sd.load_state_dict(Odd(), found, strict=True)
    assert model.kept.tolist() == [0, 1, 2, 3]


DTYPES_OF_TORCH = [name for name, dtype in DTYPES.items() if dtype.bits >= 8]


@pytest.mark.parametrize("dtype", DTYPES_OF_TORCH)
def test_every_dtype(tmp_path: Path, dtype: str) -> None:
    tensor = torch.arange(32, dtype=torch.uint8).reshape(2, 16)
    kind = getattr(torch, dtype)
    held = (tensor % 2 == 0) if dtype == "bool" else tensor.view(kind)
    torch.export.save(exported(Holder(held)), tmp_path / "m.pt2")
    assert_equals_torchs(tmp_path / "m.pt2")


def test_show_and_convert_say_what_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.export.save(exported(Odd()), tmp_path / "m.pt2")
    assert main(["show", str(tmp_path / "m.pt2"), "--all"]) == 0
    assert "constants.constant [3]" in capsys.readouterr().out
    target = tmp_path / "m.safetensors"
    assert main(["convert", str(tmp_path / "m.pt2"), str(target)]) == 0
    said = capsys.readouterr().out
    for left in ("constants.constant", "constants.computed", "data/sample_inputs/model.pt"):
        assert left in said
    assert "computed" not in sd.read_state_dict(target)
    found = sd.read_state_dict(f"{tmp_path}/m.pt2::m/data/sample_inputs/model.pt")
    assert len(found) == 1  # whoever asks for it gets it


def test_it_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"only read.*safetensors"):
        sd.write_state_dict({"w": torch.ones(1)}, tmp_path / "m.pt2")
    assert not list(tmp_path.iterdir())


def test_the_inner_tensors_of_a_wrapper_subclass_come_out(tmp_path: Path) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(TwoTensor(torch.ones(3, 2), torch.zeros(3, 2)))
            self.b = nn.Parameter(torch.ones(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.w + self.b

    torch.export.save(exported(Wrapped()), tmp_path / "m.pt2")
    found = sd.read_state_dict(tmp_path / "m.pt2")
    assert list(found) == ["w.a", "w.b", "b"]
    assert found["w.a"].numpy().tolist() == [[1, 1]] * 3
    assert any("two_tensor" in name for name in found.imports)


def test_several_programs_in_one_file_are_several_trees(tmp_path: Path) -> None:
    programs = {name: exported(nn.Linear(3, size)) for name, size in (("one", 2), ("two", 4))}
    package_pt2(
        tmp_path / "m.pt2", exported_programs=programs, extra_files={"archive_format": "hi"}
    )
    found = sd.read_state_dict(tmp_path / "m.pt2")
    assert list(found) == ["one.weight", "one.bias", "two.weight", "two.bias"]
    assert list(sd.read_state_dict(tmp_path / "m.pt2", root="two")) == ["weight", "bias"]
    assert {"models/one.json", "models/two.json", "extra/archive_format"} <= set(found.rest)


def test_a_file_of_fake_tensors_is_refused_by_what_it_holds(tmp_path: Path) -> None:
    with torch._subclasses.FakeTensorMode():
        program = exported(nn.Linear(3, 5))
        torch.export.save(program, tmp_path / "m.pt2")
    with pytest.raises(sd.FormatError, match="'weight' is 'a fake tensor, which has no bytes'"):
        sd.read_state_dict(tmp_path / "m.pt2")


def test_a_program_in_an_archive(tmp_path: Path) -> None:
    torch.export.save(exported(nn.Linear(3, 5)), tmp_path / "m.pt2")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "m.pt2", "m.pt2")
    assert list(sd.read_state_dict(tmp_path / "a.tar")) == ["weight", "bias"]


ENTRY = {
    "path_name": "weight_0",
    "is_param": True,
    "use_pickle": False,
    "tensor_meta": {
        "dtype": 7,
        "sizes": [{"as_int": 2}],
        "requires_grad": True,
        "device": {"type": "cpu", "index": None},
        "strides": [{"as_int": 1}],
        "storage_offset": {"as_int": 0},
        "layout": 7,
    },
}
META: Any = ENTRY["tensor_meta"]


def members_of(entry: Any, **others: Any) -> dict[str, Any]:
    members = {
        "m/data/weights/weight_0": bytes(8),
        "m/data/weights/model_weights_config.json": json.dumps({"config": {"as_int": entry}}),
        "m/archive_format": "pt2",
        "m/archive_version": "0",
        "m/byteorder": "little",
    }
    return {**members, **others}


def with_meta(**change: Any) -> dict[str, Any]:
    return {**ENTRY, "tensor_meta": {**META, **change}}


def test_a_parameter_may_have_any_name(tmp_path: Path) -> None:
    pack(tmp_path / "m.pt2", members_of(ENTRY))
    assert list(sd.read_state_dict(tmp_path / "m.pt2")) == ["as_int"]


CONFIG = "m/data/weights/model_weights_config.json"
HOSTILE = {
    "version": (members_of(ENTRY, **{"m/archive_version": "1"}), "archive_version"),
    "format": (members_of(ENTRY, **{"m/archive_format": "pt3"}), "archive_format"),
    "no version": (
        {n: d for n, d in members_of(ENTRY).items() if "_v" not in n},
        "archive_version",
    ),
    "byteorder": (members_of(ENTRY, **{"m/byteorder": "?"}), "byteorder"),
    "far": (members_of(with_meta(storage_offset={"as_int": 1})), "reaches to element 2"),
    "negative": (members_of(with_meta(strides=[{"as_int": -1}])), "strides of 'as_int'"),
    "symbolic": (members_of(with_meta(sizes=[{"as_expr": {"expr_str": "s0"}}])), "sizes"),
    "rank": (members_of(with_meta(sizes=[{"as_int": 9}] * 65)), "sizes"),
    "huge": (
        members_of(with_meta(strides=[{"as_int": 0}], sizes=[{"as_int": 1 << 61}])),
        "repeats",
    ),
    "offset": (members_of(with_meta(storage_offset="0")), "offset"),
    "absent": (members_of({**ENTRY, "path_name": "../x"}), r"no member 'm/data/weights/\.\./x'"),
    "path": (members_of({**ENTRY, "path_name": 3}), "path_name"),
    "entry": (members_of([]), "does not list tensors"),
    "twice": (members_of(ENTRY, **{CONFIG: '{"config": {"a": 1, "a": 2}}'}), "'a' is given twice"),
    "deep": (members_of(ENTRY, **{CONFIG: "[" * 100_000}), "does not list tensors"),
    "not JSON": (members_of(ENTRY, **{CONFIG: b"\xff"}), "does not list tensors"),
    "not pickled": (members_of({**ENTRY, "use_pickle": True}), "weight_0"),
    "no weights": ({"m/archive_format": "pt2", "m/archive_version": "0"}, r"state_dict\(\)"),
    "compiled": (
        {"m/archive_format": "pt2", "m/archive_version": "0", "m/data/aotinductor/model/a.so": ""},
        "AOTInductor",
    ),
}


@pytest.mark.parametrize(("members", "said"), HOSTILE.values(), ids=list(HOSTILE))
def test_what_cannot_be_read_is_refused_by_name(
    tmp_path: Path, members: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, target = tmp_path / "m.pt2", tmp_path / "w.safetensors"
    pack(path, members)
    with pytest.raises(FormatError, match=said) as caught:
        sd.read_state_dict(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600
    assert main(["convert", str(path), str(target)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not target.exists()


@pytest.mark.parametrize("change", [{"dtype": 99}, {"dtype": None}, {"layout": 1}, {"dtype": [7]}])
def test_what_is_not_a_dense_tensor_of_a_known_dtype_takes_no_neighbor_with_it(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    config = {"config": {"odd": with_meta(**change), "w": ENTRY}}
    pack(tmp_path / "m.pt2", members_of(ENTRY, **{CONFIG: json.dumps(config)}))
    found = sd.read_state_dict(tmp_path / "m.pt2")
    assert (list(found), list(found.others)) == (["w"], ["odd"])


def test_a_program_whose_weight_is_a_program_is_refused(tmp_path: Path) -> None:
    pack(tmp_path / "in.pt2", members_of(ENTRY))
    inner = (tmp_path / "in.pt2").read_bytes()
    entry = {**ENTRY, "use_pickle": True}
    pack(tmp_path / "m.pt2", members_of(entry, **{"m/data/weights/weight_0": inner}))
    with pytest.raises(FormatError, match="is a program and not tensors"):
        sd.read_state_dict(tmp_path / "m.pt2")


def test_the_config_is_not_inflated_beyond_a_ratio(tmp_path: Path) -> None:
    text = json.dumps({"config": {}}) + " " * (30 << 20)
    with zipfile.ZipFile(tmp_path / "m.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members_of(ENTRY, **{CONFIG: text}).items():
            archive.writestr(name, data)
    with pytest.raises(FormatError, match="over the limit"):
        sd.read_state_dict(tmp_path / "m.pt2")


def test_a_pickle_that_many_keys_name_is_read_once(tmp_path: Path) -> None:
    torch.save(torch.ones(2), tmp_path / "w.pt")
    entries = {f"w{n}": {**ENTRY, "use_pickle": True} for n in range(2)}
    inner = {"m/data/weights/weight_0": (tmp_path / "w.pt").read_bytes()}
    config = json.dumps({"config": entries})
    pack(tmp_path / "m.pt2", members_of(ENTRY, **inner, **{CONFIG: config}))
    with pytest.raises(FormatError, match="two keys name its member m/data/weights/weight_0"):
        sd.read_state_dict(tmp_path / "m.pt2")
