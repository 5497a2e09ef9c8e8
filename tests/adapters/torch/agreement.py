"""Check that an extraction agrees with torch: the same keys, order and leaves."""

from __future__ import annotations

from torch import nn

from caten_sd import get_state_dict


def assert_agrees(module: nn.Module) -> None:
    theirs = module.state_dict(keep_vars=True)
    ours = get_state_dict(module)
    assert list(ours) == list(theirs)
    different = [key for key, leaf in ours.items() if leaf is not theirs[key]]
    assert not different
    assert [".".join(path) for path in ours.paths.values()] == list(theirs)
