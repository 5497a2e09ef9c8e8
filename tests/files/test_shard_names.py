from __future__ import annotations

from caten_sd.files.shard_names import ShardName, free_generation, shard_name


def test_names_and_generations() -> None:
    known = ShardName("model", 0, 2, 3, ".safetensors")
    assert shard_name(str(known)) == known
    assert shard_name(str(known._replace(generation=12))) == known._replace(generation=12)
    for odd in ("model.safetensors", "model-2-of-3.safetensors", "-00002-of-00003.bin", "a.gguf"):
        assert shard_name(odd) is None
    names = ["model-00001-of-00002.safetensors", "other-g7-00001-of-00002.safetensors"]
    assert free_generation(names, "model", ".safetensors") == 1
    assert free_generation(names, "other", ".safetensors") == 8
    assert free_generation(names, "model", ".bin") == 0
    taken = [str(known._replace(generation=generation)) for generation in (0, 2, 999_999)]
    assert free_generation(taken, known.stem, known.suffix) == 1
    chosen = {free_generation(taken, known.stem, known.suffix, alone=False) for _ in range(99)}
    assert 95 < len(chosen) <= 99
    assert chosen <= set(range(1, 999_999)) - {2}
