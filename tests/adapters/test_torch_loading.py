"""What torch's own load_state_dict accepts strictly we accept, with the same result."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from caten_sd.errors import CatenError, LoadError
from caten_sd.extract import get_state_dict
from caten_sd.load import load_state_dict, plan_load
from caten_sd.loading.repairs import fill
from caten_sd.report import Outcome


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = self.a
        self.head = nn.Linear(3, 3, bias=False)
        self.head.weight = self.a.weight


class Buffers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kept", torch.ones(3))
        self.register_buffer("made", torch.ones(3), persistent=False)
        self.register_buffer("none", None)
        self.register_parameter("absent", None)
        self.scale = nn.Parameter(torch.tensor(2.0))


class Extra(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(2))
        self.table = {"a": 1}

    def get_extra_state(self) -> dict[str, int]:
        return self.table

    def set_extra_state(self, state: dict[str, int]) -> None:
        if not isinstance(state, dict):
            raise TypeError("the extra state is a table")
        self.table = state


MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False)),
    "conv": lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1)),
    "norms": lambda: nn.ModuleList(
        [nn.BatchNorm1d(2, affine=False), nn.InstanceNorm1d(2, track_running_stats=True),
         nn.GroupNorm(1, 2), nn.BatchNorm1d(2, track_running_stats=False)]
    ),
    "attention": lambda: nn.TransformerEncoderLayer(4, 2, 8),
    "recurrent": lambda: nn.LSTM(3, 4, 2, bidirectional=True),
    "shared": Shared,
    "buffers": Buffers,
    "extra": Extra,
    "named": lambda: nn.ModuleDict({"keys-of": nn.Linear(2, 2), "forward-of": nn.Linear(2, 2)}),
    "lists": lambda: nn.ModuleList([nn.ParameterList([torch.ones(2), torch.ones(3)])]),
    "empty": lambda: nn.Sequential(nn.ReLU()),
    "parametrized": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)),
    "spectral": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2)),
    "half": lambda: nn.Linear(3, 2).half(),
}  # fmt: skip


def filled(model: nn.Module, number: float) -> nn.Module:
    with torch.no_grad():
        for leaf in model.state_dict(keep_vars=True).values():
            if isinstance(leaf, torch.Tensor):
                leaf.copy_(torch.arange(leaf.numel()).reshape(leaf.shape) + number)
    return model


def alike(one: nn.Module, other: nn.Module) -> None:
    mine, theirs = one.state_dict(), other.state_dict()
    assert list(mine) == list(theirs)
    for key, leaf in mine.items():
        if isinstance(leaf, torch.Tensor):
            assert leaf.dtype is theirs[key].dtype, key
            assert torch.equal(leaf, theirs[key]), key
        else:
            assert leaf == theirs[key], key
    flags = [{n: p.requires_grad for n, p in m.named_parameters()} for m in (one, other)]
    assert flags[0] == flags[1]


def both(
    make: Callable[[], nn.Module], file: dict[str, object], assign: bool
) -> tuple[nn.Module, nn.Module, Exception | None]:
    """Load strictly by torch and by us; return both models and torch's refusal."""
    theirs, ours = filled(make(), 1), filled(make(), 1)
    before = copy.deepcopy(ours)
    refusal: Exception | None = None
    try:
        theirs.load_state_dict(file, strict=True, assign=assign)
    except RuntimeError as error:
        refusal = error
    if refusal is None:
        load_state_dict(ours, file, strict=True, assign=assign)
        alike(ours, theirs)
    else:
        with pytest.raises(CatenError):
            load_state_dict(ours, file, strict=True, assign=assign)
        alike(ours, before)
    return ours, theirs, refusal


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_a_models_own_state_dict(make: Callable[[], nn.Module], assign: bool) -> None:
    if make is Shared and assign:
        pytest.skip("torch unties what it adopts, and we do not: see TestTies")
    file = filled(make(), 5).state_dict()
    *_, refusal = both(make, file, assign)
    assert refusal is None
    *_, refusal = both(make, get_state_dict(filled(make(), 5)).entry, assign)
    assert refusal is None


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_a_key_more_or_less_or_of_another_shape_is_refused(make: Callable[[], nn.Module]) -> None:
    file = filled(make(), 5).state_dict()
    *_, refusal = both(make, {**file, "stray": torch.zeros(2)}, False)
    assert refusal
    for key in file:
        if make is not Shared:
            both(make, {k: v for k, v in file.items() if k != key}, False)
        if isinstance(file[key], torch.Tensor):
            both(make, {**file, key: torch.zeros(3, 9)}, False)
            *_, refusal = both(make, {**file, f"{key}.bad_key": torch.zeros(1)}, False)
            assert refusal


actions = st.sampled_from(["keep", "drop", "shape", "rename", "none"])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(MODELS)), st.lists(actions, max_size=12), st.booleans())
def test_whatever_is_wrong_torch_and_we_agree(name: str, deeds: list[str], assign: bool) -> None:
    file: dict[str, object] = {}
    leaves = filled(MODELS[name](), 3).state_dict().items()
    for (key, leaf), deed in zip(leaves, deeds + ["keep"] * len(leaves), strict=False):
        if deed == "shape" and isinstance(leaf, torch.Tensor):
            leaf = torch.zeros(7, 7, dtype=leaf.dtype)
        if deed != "drop":
            file[key + "x" * (deed == "rename")] = None if deed == "none" else leaf
    if name not in ("extra", "shared"):
        both(MODELS[name], file, assign)


class TestTies:
    """Where torch loses a tie, or asks for each of its names, we keep it and ask for one."""

    def test_ties_are_kept_by_assign(self) -> None:
        model = Shared()
        load_state_dict(model, filled(Shared(), 5).state_dict(), strict=True, assign=True)
        assert model.a.weight is model.b.weight is model.head.weight

    @pytest.mark.parametrize("name", ["a.weight", "b.weight", "head.weight"])
    def test_one_name_is_enough(self, name: str) -> None:
        # Failure case 18.
        model, saved = Shared(), filled(Shared(), 5).state_dict()
        load_state_dict(model, {name: saved[name], "a.bias": saved["a.bias"]}, strict=True)
        alike(model, filled(Shared(), 5))


class TestVersions:
    """Files of older versions: rewritten as the module's own code does, on a twin without data."""

    def test_batch_norm_before_it_counted_batches(self) -> None:
        file = nn.BatchNorm1d(3).state_dict()
        plain = {key: leaf for key, leaf in file.items() if key != "num_batches_tracked"}
        model = nn.Sequential(nn.BatchNorm1d(3))
        model[0].num_batches_tracked += 4
        plan = plan_load(model, {f"0.{key}": leaf for key, leaf in plain.items()})
        assert plan.fits
        assert "older version" in str(plan)
        plan.apply()
        assert model[0].num_batches_tracked.item() == 4
        both(lambda: nn.BatchNorm1d(3), plain, False)

    def test_a_file_that_says_its_version_has_to_have_the_count(self) -> None:
        file = nn.BatchNorm1d(3).state_dict()  # it carries _metadata
        del file["num_batches_tracked"]
        *_, refusal = both(lambda: nn.BatchNorm1d(3), file, False)
        assert refusal

    def test_a_wrapped_file_is_rewritten_as_well(self) -> None:
        file = {
            f"module.{key}": leaf
            for key, leaf in nn.BatchNorm1d(3).state_dict().items()
            if key != "num_batches_tracked"
        }
        load_state_dict(nn.BatchNorm1d(3), file, strict=True)

    def test_a_hook_that_renames_is_run_on_a_copy_of_the_names(self) -> None:
        class Renaming(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.new = nn.Linear(2, 2)
                self._register_load_state_dict_pre_hook(self._rename)

            def _rename(self, state_dict: dict, prefix: str, *rest: object) -> None:
                for key in list(state_dict):
                    if key.startswith(prefix + "old."):
                        renamed = key.replace("old.", "new.")
                        state_dict[renamed] = state_dict.pop(key) * 2

        file = {f"0.old.{key}": leaf for key, leaf in nn.Linear(2, 2).state_dict().items()}
        kept = dict(file)
        both(lambda: nn.Sequential(Renaming()), file, False)
        assert file.keys() == kept.keys()

    def test_an_overridden_load_rewrites_names_and_loads_nothing_while_planning(self) -> None:
        class Versioned(nn.Linear):
            _version = 2

            def _load_from_state_dict(self, state_dict, prefix, meta, *rest):  # type: ignore
                if meta.get("version", 1) < 2 and f"{prefix}kernel" in state_dict:
                    state_dict[f"{prefix}weight"] = state_dict.pop(f"{prefix}kernel").T
                super()._load_from_state_dict(state_dict, prefix, meta, *rest)

        file = {"kernel": torch.arange(6.0).reshape(3, 2), "bias": torch.ones(2)}
        ours, *_ = both(lambda: Versioned(3, 2), file, False)
        assert torch.equal(ours.weight, file["kernel"].T)
        model = filled(Versioned(3, 2), 9)
        before = copy.deepcopy(model)
        assert plan_load(model, file).fits
        alike(model, before)


class TestExtraState:
    def test_it_is_loaded_and_accounted_for(self) -> None:
        model = nn.Sequential(Extra())
        plan = plan_load(model, {"0.w": torch.zeros(2), "0._extra_state": {"b": 2}})
        assert [row.outcome for row in plan.rows] == [Outcome.LOADED] * 2
        plan.apply()
        assert model[0].table == {"b": 2}

    def test_one_that_refuses_leaves_everything_as_it_was(self) -> None:
        model = nn.Sequential(Extra(), Extra())
        file = {
            "0.w": torch.zeros(2),
            "0._extra_state": {"b": 2},
            "1.w": torch.zeros(2),
            "1._extra_state": "no table",
        }
        before = copy.deepcopy(model)
        for assign in (False, True):
            with pytest.raises(LoadError, match=r"1\._extra_state .*the extra state is a table"):
                load_state_dict(model, file, assign=assign)
            alike(model, before)

    def test_tensors_of_another_size_are_its_own_business(self) -> None:
        class Blob(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.blob = torch.zeros(3, dtype=torch.uint8)

            def get_extra_state(self) -> torch.Tensor:
                return self.blob

            def set_extra_state(self, state: torch.Tensor) -> None:
                self.blob = state

        model = Blob()
        load_state_dict(model, {"_extra_state": torch.ones(9, dtype=torch.uint8)}, strict=True)
        assert model.blob.tolist() == [1] * 9


class TestLazy:
    def test_a_lazy_module_takes_the_files_shapes(self) -> None:
        model = nn.Sequential(nn.LazyLinear(2), nn.LazyBatchNorm1d())
        file = filled(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), 1).state_dict()
        plan = plan_load(model, file)
        assert "it takes the shape of the file" in str(plan)
        assert isinstance(model[0].weight, nn.UninitializedParameter)
        plan.apply()
        assert model[0].weight.shape == (2, 3)
        assert torch.equal(model[0].weight, file["0.weight"])
        assert model(torch.ones(2, 3)).shape == (2, 2)

    @pytest.mark.parametrize("assign", [False, True])
    def test_torch_and_we_agree(self, assign: bool) -> None:
        theirs, ours = nn.LazyLinear(2), nn.LazyLinear(2)
        file = filled(nn.Linear(3, 2), 1).state_dict()
        theirs.load_state_dict(file, assign=assign)
        load_state_dict(ours, file, strict=True, assign=assign)
        alike(ours, theirs)

    def test_a_value_that_is_no_tensor_is_refused(self) -> None:
        plan = plan_load(nn.LazyLinear(2), {"weight": "text", "bias": torch.zeros(2)})
        assert [row.outcome for row in plan.rows] == [Outcome.DTYPE, Outcome.LOADED]


class TestMeta:
    def test_it_is_materialised_by_the_load_and_shares_nothing_with_the_file(self) -> None:
        with torch.device("meta"):
            model = Shared()
        model.a.bias.requires_grad_(False)
        file = filled(Shared(), 1).state_dict()
        load_state_dict(model, file, strict=True)
        assert model.a.weight is model.head.weight
        assert model.a.weight is model.b.weight
        assert torch.equal(model.a.weight, file["a.weight"])
        assert model.a.weight.data_ptr() != file["a.weight"].data_ptr()
        assert not model.a.bias.requires_grad

    def test_assign_adopts_the_files_memory(self) -> None:
        with torch.device("meta"):
            model = nn.Linear(3, 2)
        file = nn.Linear(3, 2).state_dict()
        load_state_dict(model, file, strict=True, assign=True)
        assert model.weight.data_ptr() == file["weight"].data_ptr()

    def test_it_keeps_the_models_dtype(self) -> None:
        with torch.device("meta"):
            model = nn.Linear(3, 2, dtype=torch.bfloat16)
        load_state_dict(model, nn.Linear(3, 2).state_dict())
        assert model.weight.dtype is torch.bfloat16

    def test_what_the_file_lacks_is_named(self) -> None:
        with torch.device("meta"):
            model = nn.Sequential(Buffers(), nn.Linear(2, 2))
        file = {key: torch.ones(leaf.shape) for key, leaf in model.state_dict().items()}
        plan = plan_load(model, file)
        assert not plan.fits
        (row,) = (row for row in plan.rows if row.key == "0.made")
        assert row.outcome is Outcome.MISSING
        assert "meta" in row.note
        plan = plan_load(model, {**file, "0.made": torch.full((3,), 5.0)})
        assert plan.fits
        plan.apply()
        assert model[0].made.tolist() == [5, 5, 5]
        assert list(model.state_dict()) == list(file)

    def test_what_the_file_lacks_is_made_again_where_its_owner_can(self) -> None:
        class Rotary(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.register_buffer("inv_freq", torch.empty(3), persistent=False)
                self.reset_parameters()

            def reset_parameters(self) -> None:
                self.inv_freq.copy_(torch.arange(3.0))

        with torch.device("meta"):
            model = nn.Sequential(Rotary(), nn.Linear(2, 2, bias=False))
        plan = plan_load(model, {"1.weight": torch.ones(2, 2)})
        assert plan.fits
        assert "made again by the model" in str(plan)
        assert model[0].inv_freq.is_meta
        plan.apply()
        assert model[0].inv_freq.tolist() == [0, 1, 2]
        assert list(model.state_dict()) == ["1.weight"]

    def test_a_transformer_of_transformers_runs_after_it(self) -> None:
        transformers = pytest.importorskip("transformers")
        config = transformers.LlamaConfig(
            vocab_size=11,
            hidden_size=8,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=16,
        )
        saved = transformers.LlamaForCausalLM(config).eval()
        with torch.device("meta"):
            model = transformers.LlamaForCausalLM(config).eval()
        load_state_dict(model, saved.state_dict(), strict=True)
        tokens = torch.arange(5)[None]
        with torch.no_grad():
            assert torch.equal(model(tokens).logits, saved(tokens).logits)

    def test_what_the_file_lacks_can_be_filled(self) -> None:
        with torch.device("meta"):
            model = Buffers()
        file = {"kept": torch.ones(3), "scale": torch.ones(())}
        rules = {"made": fill(lambda place: torch.arange(len(place)).float())}
        load_state_dict(model, file, strict=True, on_mismatch=rules)
        assert model.made.tolist() == [0, 1, 2]


class TestMapLocation:
    @pytest.mark.parametrize(
        "location", ["cpu", torch.device("cpu"), {"cpu": "cpu"}, lambda storage, place: storage]
    )
    def test_its_forms(self, location: object) -> None:
        model, file = nn.Linear(3, 2), nn.Linear(3, 2).state_dict()
        load_state_dict(model, file, strict=True, map_location=location)
        assert torch.equal(model.weight, file["weight"])
        assert model.weight.data_ptr() != file["weight"].data_ptr()
        assert isinstance(model.weight, nn.Parameter)

    def test_leaves_go_where_asked(self) -> None:
        model, file = nn.Linear(3, 2), nn.Linear(3, 2).state_dict()
        load_state_dict(model, file, map_location={"cpu": "meta"})
        assert model.weight.is_meta

    def test_a_numpy_array_stays_in_the_hosts_memory(self) -> None:
        model = [np.zeros(2)]
        load_state_dict(model, {"0": np.ones(2)}, map_location="cpu")
        with pytest.raises(LoadError, match="numpy array lies in the host"):
            load_state_dict(model, {"0": np.zeros(2)}, map_location="cuda")
        assert model[0].tolist() == [1, 1]


def old_weight_norm(module: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(module)


SPELLINGS = {
    "weight_norm": (old_weight_norm, nn.utils.parametrizations.weight_norm),
    "spectral_norm": (nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm),
}


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("turn", [1, -1], ids=["old to new", "new to old"])
@pytest.mark.parametrize("norm", SPELLINGS)
def test_both_spellings_load_into_each_other(norm: str, turn: int, assign: bool) -> None:
    # Failure case 28; torch itself loads old into new weight_norm and nothing else.
    saved, model = (
        spell(nn.Sequential(nn.Conv1d(2, 3, 2))[0]) for spell in SPELLINGS[norm][::turn]
    )
    saved, model = nn.Sequential(saved), nn.Sequential(model)
    plan = plan_load(model, saved.state_dict(), assign=assign)
    assert plan.fits
    assert "other spelling" in plan.notes[0]
    plan.apply()
    inputs = torch.ones(1, 2, 5)
    with torch.no_grad():
        assert torch.equal(model.eval()(inputs), saved.eval()(inputs))


def test_a_wrapped_file_in_the_other_spelling() -> None:
    saved = old_weight_norm(nn.Linear(3, 2))
    model = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    file = {f"module.{key}": leaf for key, leaf in saved.state_dict().items()}
    load_state_dict(model, file, strict=True)
    assert torch.equal(model.weight, saved.weight)


def test_a_name_that_only_ends_so_is_no_spelling() -> None:
    model = nn.Module()
    model.gain_v = nn.Parameter(torch.zeros(2))
    file = {"gain_v": torch.ones(2)}
    assert not plan_load(model, file).notes
