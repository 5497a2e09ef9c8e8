"""A load gives data to a model on the meta device, and names what the file lacks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.repairs import fill
from caten_sd.loading.report import Outcome

from .loading import Buffers, Shared, filled


class TestMeta:
    def test_it_gets_data_by_the_load_and_shares_nothing_with_the_file(self) -> None:
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

    def test_a_buffer_that_the_file_lacks_is_computed_by_its_owner(self) -> None:
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
        assert "computed again by the model" in str(plan)
        assert model[0].inv_freq.is_meta
        plan.apply()
        assert model[0].inv_freq.tolist() == [0, 1, 2]
        assert list(model.state_dict()) == ["1.weight"]

    def test_a_model_of_transformers_runs_after_it(self) -> None:
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
