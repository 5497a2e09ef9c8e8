from __future__ import annotations

from importlib import import_module

import pytest
import torch

from caten_sd.errors import ModelError
from caten_sd.nn import Transformer, call, generate


@pytest.fixture
def model() -> Transformer:
    return Transformer(16, 2, 2, 1e-5, 20, max_seq_len=24)


PROMPT = torch.tensor([[1, 2, 3], [4, 5, 6]])


def test_greedy_takes_the_most_likely_token_each_time(model: Transformer) -> None:
    expected = PROMPT
    for _ in range(10):
        expected = torch.cat((expected, model(expected)[:, -1:].argmax(-1)), 1)
    assert torch.equal(generate(model, PROMPT, 10), expected)


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 0.8}, {"temperature": 1.3, "top_k": 3}], ids=str
)
def test_the_cache_changes_no_token(model: Transformer, options) -> None:
    def run(use_cache: bool) -> torch.Tensor:
        generator = torch.Generator().manual_seed(7)
        return generate(model, PROMPT, 21, generator=generator, use_cache=use_cache, **options)

    assert torch.equal(run(True), run(False))
    assert run(True).shape == (2, 24)


def test_the_cache_is_used(model: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def counting(model: Transformer, tokens: torch.Tensor, *rest: int) -> torch.Tensor:
        seen.append(tokens.shape[1])
        return call(model, tokens, *rest)

    monkeypatch.setattr(import_module("caten_sd.nn.generation"), "call", counting)
    generate(model, PROMPT, 4)
    assert seen == [3, 1, 1, 1]


def test_what_an_earlier_caller_left_in_the_cache_is_not_used(model: Transformer) -> None:
    expected = generate(model, PROMPT, 5)
    model(torch.randint(0, 20, (2, 9)), 0)
    assert torch.equal(generate(model, PROMPT, 5), expected)
    assert model.h[0].attn.k_cache is None


def test_sampling_follows_the_generator_and_top_k(model: Transformer) -> None:
    def run(seed: int, **options) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return generate(model, PROMPT, 15, temperature=5.0, generator=generator, **options)

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    assert torch.equal(run(1, top_k=1), generate(model, PROMPT, 15))
    assert torch.equal(run(1, top_k=999), run(1))


def test_a_row_does_not_depend_on_its_batch(model: Transformer) -> None:
    together = generate(model, PROMPT, 8)
    assert torch.equal(together[1:], generate(model, PROMPT[1:], 8))


def test_no_new_tokens_gives_the_prompt(model: Transformer) -> None:
    assert torch.equal(generate(model, PROMPT, 0), PROMPT)


@pytest.mark.parametrize(
    ("prompt", "new", "options", "facts"),
    [
        (PROMPT, 22, {}, "3 prompt tokens and 22 new.*24"),
        (PROMPT[:, :0], 1, {}, r"at least one token.*\(2, 0\)"),
        (PROMPT[0], 1, {}, r"\(batch, time\)"),
        (PROMPT, -1, {}, "not -1, 0.0 and None"),
        (PROMPT, 1, {"temperature": -1.0}, "not 1, -1.0 and None"),
        (PROMPT, 1, {"temperature": 1.0, "top_k": 0}, "not 1, 1.0 and 0"),
    ],
)
def test_what_cannot_be_generated_is_refused(model, prompt, new, options, facts) -> None:
    with pytest.raises(ModelError, match=facts):
        generate(model, prompt, new, **options)
