"""Small tokenizers of each kind, trained by the library tokenizers on a few lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    processors,
    trainers,
)
from tokenizers import pre_tokenizers as splits

TEXTS = [
    "Hello world 123",
    "  two  spaces\n\n\n tab\t\tx 1234567 it's I'LL'VE don't",
    "我想在apple工作1314151天 нещо на Български",
    "(normal) ===--- ''''' x\r\n",
    "def f(x):\n    return x**2  # comment\n",
    "É é ñ straße Foo.Bar/Baz//qux",
    " lead",
    "a" * 40,
]
LINES = [*TEXTS, "I've been told he's there, 'RE you sure? We'Ve a'lL 🚀"] * 3


def byte_level(*patterns: str, digits: bool = False, skips: bool = False) -> Tokenizer:
    """Return a byte-level BPE that splits by these expressions, or by that of GPT-2."""
    made = Tokenizer(models.BPE(ignore_merges=skips))
    own = [splits.Split(Regex(each), "isolated") for each in patterns]
    apart = [splits.Digits(individual_digits=True)] if digits else []
    last = splits.ByteLevel(add_prefix_space=False, use_regex=not patterns)
    made.pre_tokenizer = splits.Sequence([*own, *apart, last])
    made.decoder = decoders.ByteLevel()
    special = ["<|bos|>", "<|eos|>"]
    return _trained(made, trainers.BpeTrainer, special, splits.ByteLevel.alphabet())


def sentencepiece() -> Tokenizer:
    """Return a BPE as Llama 2 has it: a space before a text, and bytes for what has no token."""
    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    spaced = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    made.normalizer = normalizers.Sequence(spaced)
    each_byte = [f"<0x{byte:02X}>" for byte in range(256)]
    trained = _trained(made, trainers.BpeTrainer, ["<unk>", "<s>", "</s>", *each_byte])
    told = json.loads(trained.to_str())
    told["added_tokens"] = told["added_tokens"][:3]
    return Tokenizer.from_str(json.dumps(told))


def unigram() -> Tokenizer:
    """Return a unigram model as T5 has it."""
    made = Tokenizer(models.Unigram())
    steps = [normalizers.Strip(False, True), normalizers.Replace(Regex(" {2,}"), "▁")]
    made.normalizer = normalizers.Sequence(steps)
    made.pre_tokenizer = splits.Metaspace(prepend_scheme="always")
    special = ["<unk>", "<s>", "</s>"]
    return _trained(made, trainers.UnigramTrainer, special, unk_token="<unk>")


def word_pieces(*, lowercase: bool = True, strip_accents: bool | None = None) -> Tokenizer:
    """Return a WordPiece as BERT has it, cased or not."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
    made.pre_tokenizer = splits.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trained = _trained(made, trainers.WordPieceTrainer, special)
    trained.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return trained


def _trained(
    made: Tokenizer, kind: Any, special: list[str], alphabet: Any = (), **options: Any
) -> Tokenizer:
    options.update(special_tokens=special, initial_alphabet=list(alphabet), show_progress=False)
    made.train_from_iterator(LINES, kind(vocab_size=400, **options))
    return made


def as_json(made: Tokenizer) -> dict[str, Any]:
    """Return what its tokenizer.json holds."""
    told: dict[str, Any] = json.loads(made.to_str())
    return told


def changed(told: Mapping[str, Any], *path: str, value: Any) -> dict[str, Any]:
    """Return a tokenizer.json with one other value."""
    first, *rest = path
    inner = changed(told[first], *rest, value=value) if rest else value
    return {**told, first: inner}
