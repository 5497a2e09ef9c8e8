"""What a load may leave or change: rules by glob pattern, each recorded when it was used."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.policy import Policy, PolicyRules
from caten_sd.loading.repairs import fill, pad_rows, skip, trim_rows
from caten_sd.loading.report import LoadRow, Outcome


def model() -> nn.Module:
    return nn.ModuleDict(
        {
            "body": nn.Linear(3, 3),
            "head": nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)),
        }
    )


def file_without_head() -> dict[str, torch.Tensor]:
    return {"body.weight": torch.ones(3, 3), "body.bias": torch.ones(3)}


def row(plan: object, key: str) -> LoadRow:
    return next(row for row in plan.rows if row.key == key)


@pytest.mark.parametrize("patterns", ["head.*", ["head.0.*", "head.1.*"], ("*.0.*", "*.1.*")])
def test_allow_missing_is_recorded_and_satisfies_strict(patterns: object) -> None:
    obj = model()
    load_state_dict(obj, file_without_head(), strict=True, allow_missing=patterns)
    plan = plan_load(obj, file_without_head(), allow_missing=patterns)
    assert [each.key for each in plan.of(Outcome.SKIPPED)] == [
        "head.0.weight",
        "head.0.bias",
        "head.1.weight",
        "head.1.bias",
    ]
    assert "allow_missing=" in row(plan, "head.0.bias").note
    assert "skipped, as asked (4):" in str(plan)


def test_what_no_pattern_allows_is_still_missing() -> None:
    with pytest.raises(LoadError, match="1 in the model, not in the file"):
        load_state_dict(
            model(),
            {"body.weight": torch.ones(3, 3)},
            strict=True,
            allow_missing="head.*",
        )


def test_allow_unexpected_is_recorded() -> None:
    file = file_without_head() | {"step": torch.tensor(3), "ema.step": torch.tensor(3)}
    plan = plan_load(model(), file, allow_missing="head.*", allow_unexpected=["step", "ema.*"])
    assert plan.fits
    assert row(plan, "ema.step").note == "left out, as allow_unexpected='ema.*' allows"


def test_a_load_of_nothing_is_an_error_whatever_is_allowed() -> None:
    # Failure case 3.
    class Foo(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.foo = nn.Linear(2, 2)

    file = {f"x{key}": leaf for key, leaf in Foo().state_dict().items()}
    with pytest.raises(LoadError, match="nothing would be loaded"):
        load_state_dict(Foo(), file, allow_missing="*", allow_unexpected="*", silent=True)


def test_a_pattern_that_matches_nothing_is_noted() -> None:
    plan = plan_load(model(), file_without_head(), allow_missing=["haed.*", "head.*"])
    assert plan.notes == ["allow_missing 'haed.*' matches no key of the model or the file"]


@pytest.mark.parametrize(
    "options",
    [
        {"on_mismatch": {"*": "skip"}},
        {"dtype": "float99"},
        {"dtype": {"*": 3}},
    ],
)
def test_a_rule_that_is_not_valid_is_refused(options: dict[str, object]) -> None:
    obj = model()
    before = obj.body.weight.clone()
    with pytest.raises(LoadError):
        load_state_dict(obj, obj.state_dict(), **options)
    assert torch.equal(obj.body.weight, before)


class TestOnMismatch:
    def test_a_vocabulary_that_was_padded_and_has_no_biases(self) -> None:
        # Failure case 11, smaller: 50304 rows without biases into 50257 with biases.
        obj = nn.ModuleDict({"wte": nn.Embedding(57, 4), "lm_head": nn.Linear(4, 57)})
        file = {"wte.weight": torch.randn(64, 4), "lm_head.weight": torch.randn(64, 4)}
        with pytest.raises(LoadError) as caught:
            load_state_dict(obj, file, strict=True)
        text = str(caught.value)
        assert "wte.weight has 7 rows more in the file (64) than in the model (57)" in text
        assert "1 bias is absent" in text
        rules = {"*.weight": trim_rows(), "*.bias": fill(0.0)}
        plan = plan_load(obj, file, on_mismatch=rules)
        plan.apply()
        assert torch.equal(obj.wte.weight, file["wte.weight"][:57])
        assert torch.equal(obj.lm_head.weight, file["lm_head.weight"][:57])
        assert (obj.lm_head.bias == 0).all()
        assert row(plan, "wte.weight").note == "trim_rows(), as on_mismatch['*.weight'] asks"
        assert row(plan, "lm_head.bias").note == "fill(0.0), as on_mismatch['*.bias'] asks"
        assert "trim_rows()" in str(plan)

    @pytest.mark.parametrize(
        ("init", "expected"), [(0.5, [0.5, 0.5]), ("mean", [2, 3]), ("model", [9, 9])]
    )
    def test_pad_rows(self, init: float | str, expected: list[float]) -> None:
        obj = {"w": np.full((4, 2), 9, np.float32)}
        file = {"w": np.array([[1, 2], [3, 4]], np.float32)}
        load_state_dict(obj, file, strict=True, on_mismatch={"w": pad_rows(init)})
        assert obj["w"].tolist() == [[1, 2], [3, 4], expected, expected]

    def test_pad_rows_of_a_meta_model_has_no_rows_to_keep(self) -> None:
        with torch.device("meta"):
            obj = nn.Embedding(4, 2)
        with pytest.raises(LoadError, match="meta device and has no rows"):
            plan_load(obj, {"weight": torch.ones(3, 2)}, on_mismatch={"*": pad_rows()})

    @pytest.mark.parametrize(
        ("repair", "shape"),
        [(pad_rows(), (9, 2)), (trim_rows(), (3, 2)), (pad_rows(), (3, 5)), (trim_rows(), (8,))],
    )
    def test_a_repair_that_does_not_apply_is_an_error(
        self, repair: object, shape: tuple[int, ...]
    ) -> None:
        obj = {"w": torch.zeros(4, 2), "b": torch.zeros(2)}
        with pytest.raises(LoadError, match=r"w: .*nothing was changed"):
            load_state_dict(obj, {"w": torch.ones(shape)}, on_mismatch={"w": repair})

    def test_skip_leaves_the_slot_alone(self) -> None:
        obj = model()
        before = obj.head[1].weight.clone()
        file = {key: torch.ones_like(leaf) for key, leaf in obj.state_dict().items()}
        file["head.1.weight"], file["head.1.bias"] = torch.ones(10, 4), torch.ones(10)
        plan = plan_load(obj, file, on_mismatch={"head.1.*": skip})
        assert plan.fits
        plan.apply()
        assert torch.equal(obj.head[1].weight, before)
        assert row(plan, "head.1.bias").note == "skip, as on_mismatch['head.1.*'] asks"

    def test_a_rule_for_a_slot_that_fits_does_nothing(self) -> None:
        obj = model()
        file = {key: torch.ones_like(leaf) for key, leaf in obj.state_dict().items()}
        load_state_dict(obj, file, strict=True, on_mismatch={"*": skip})
        assert (obj.head[1].weight == 1).all()

    def test_a_function_gets_the_files_array_and_the_models(self) -> None:
        def resize(file: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
            grid = file.T[None]
            return nn.functional.interpolate(grid, size=len(place), mode="linear")[0].T

        obj = nn.Module()
        obj.pos_embed = nn.Parameter(torch.zeros(8, 2))
        file = {"pos_embed": torch.arange(8.0).reshape(4, 2)}
        plan = plan_load(obj, file, on_mismatch={"pos_embed": resize})
        assert row(plan, "pos_embed").note == "resize, as on_mismatch['pos_embed'] asks"
        assert not obj.pos_embed.any()  # the plan has called it and touched nothing
        plan.apply()
        assert torch.equal(obj.pos_embed, resize(file["pos_embed"], obj.pos_embed))

    @pytest.mark.parametrize(
        ("function", "words"),
        [
            (lambda file, place: file, r"gave \[4, 2\] where the model has \[8, 2\]"),
            (lambda file, place: "text", "gave str"),
            (lambda file, place: 1 / 0, "division by zero"),
        ],
    )
    def test_a_function_that_fails_leaves_everything_as_it_was(
        self, function: object, words: str
    ) -> None:
        obj = {"pos": torch.zeros(8, 2), "w": torch.zeros(1)}
        file = {"pos": torch.ones(4, 2), "w": torch.ones(1)}
        with pytest.raises(LoadError, match=words):
            load_state_dict(obj, file, on_mismatch={"pos": function})
        assert obj["w"].item() == 0

    def test_fill_takes_numbers_arrays_and_functions(self) -> None:
        obj = {key: np.zeros(2, np.float32) for key in "abc"} | {"w": np.zeros(1)}
        rules = {"a": fill(3), "b": fill(np.array([1, 2])), "c": fill(lambda place: place + 5)}
        load_state_dict(obj, {"w": np.zeros(1)}, strict=True, on_mismatch=rules)
        assert [obj[key].tolist() for key in "abc"] == [[3, 3], [1, 2], [5, 5]]
        with pytest.raises(LoadError, match="does not fit"):
            plan_load(obj, {"w": np.zeros(1)}, on_mismatch={"*": fill(np.zeros(7))})

    def test_a_float_for_an_integer_can_be_rounded_by_a_function(self) -> None:
        obj = {"count": torch.tensor([0, 0])}
        file = {"count": torch.tensor([1.9, 3.1])}
        load_state_dict(obj, file, on_mismatch={"count": lambda file, _: file.round().long()})
        assert obj["count"].tolist() == [2, 3]

    def test_skip_chooses_among_tied_names_that_differ(self) -> None:
        obj = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
        obj.b.weight = obj.a.weight
        file = {"a.weight": torch.zeros(2, 2), "b.weight": torch.ones(2, 2)}
        plan = plan_load(obj, file, on_mismatch={"a.weight": skip})
        assert plan.fits
        plan.apply()
        assert (obj.a.weight == 1).all()
        assert obj.a.weight is obj.b.weight
        assert "left out" in row(plan, "a.weight").note


class TestDtype:
    def test_to_model_is_the_default_and_keep_that_of_assign(self) -> None:
        file = {"weight": torch.ones(2, 2, dtype=torch.float64)}
        for options, dtype in (
            ({}, torch.float32),
            ({"dtype": "to_model"}, torch.float32),
            ({"dtype": "keep"}, torch.float64),
            ({"assign": True}, torch.float64),
            ({"assign": True, "dtype": "to_model"}, torch.float32),
            ({"dtype": "bfloat16"}, torch.bfloat16),
            ({"dtype": torch.float16}, torch.float16),
            ({"dtype": np.dtype("float16")}, torch.float16),
        ):
            obj = nn.Linear(2, 2, bias=False)
            load_state_dict(obj, file, strict=True, **options)
            assert obj.weight.dtype is dtype, options
            assert isinstance(obj.weight, nn.Parameter)
            assert obj.weight.data_ptr() != file["weight"].data_ptr() or options == {"assign": True}

    def test_the_first_pattern_that_matches_gives_the_dtype(self) -> None:
        obj = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Linear(2, 2))
        file = obj.state_dict()
        load_state_dict(obj, file, dtype={"1.*": "keep", "*": "bfloat16"})
        assert {key: leaf.dtype for key, leaf in obj.state_dict().items()} == {
            key: torch.float32 if key.startswith("1.") else torch.bfloat16 for key in file
        }

    def test_a_named_dtype_is_for_floats_only(self) -> None:
        obj = nn.BatchNorm1d(2)
        load_state_dict(obj, nn.BatchNorm1d(2).state_dict(), dtype="bfloat16", strict=True)
        assert obj.num_batches_tracked.dtype is torch.int64
        assert obj.running_mean.dtype is torch.bfloat16

    def test_a_change_of_dtype_is_recorded(self) -> None:
        plan = plan_load([torch.zeros(2)], {"0": torch.ones(2)}, dtype="bfloat16")
        assert row(plan, "0").outcome is Outcome.CAST
        assert row(plan, "0").note == "the slot becomes bfloat16"
        kept = plan_load([torch.zeros(2)], {"0": torch.ones(2).half()}, dtype="keep")
        assert row(kept, "0").outcome is Outcome.LOADED
        assert "the slot becomes float16" in str(kept)


def test_rules_are_found_in_order_and_cross_dots() -> None:
    rules = PolicyRules("dtype", {"h.*.bias": 1, "h.*": 2})
    assert [getattr(rules.find(key), "value", None) for key in ("h.0.mlp.bias", "h.1", "wte")] == [
        1,
        2,
        None,
    ]
    assert rules.unused(["h.1"]) == ["h.*.bias"]


def test_a_pattern_after_one_that_takes_its_keys_is_noted() -> None:
    late = plan_load([torch.zeros(2)], {"0": torch.ones(2)}, dtype={"*": "keep", "0": "bfloat16"})
    assert "dtype '0' applies to no key" in str(late)
    same = plan_load([torch.zeros(2)], {"0": torch.ones(2)}, allow_missing=["*", "0"])
    assert "applies to no key" not in str(same)


def test_a_policy_without_rules_has_nothing_unused() -> None:
    assert Policy().unused(["a"]) == []
