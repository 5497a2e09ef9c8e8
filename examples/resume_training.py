"""Stop a training, go on from its file, and end where it would have ended: bit for bit.

python examples/resume_training.py [FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch
from torch import nn

from caten_sd import (
    CatenError,
    TrainingState,
    get_state_dict,
    load_state_dict,
    plan_load,
    read_state_dict,
    write_state_dict,
)


def build(*, backwards: bool = False) -> TrainingState:
    """Return a fresh training; its optimizer may know the parameters in another order."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 1))
    params = list(model.parameters())
    optimizer = torch.optim.AdamW(reversed(params) if backwards else params, lr=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    return TrainingState(model, optimizer, scheduler, rng=torch.Generator().manual_seed(1))


def train(training: TrainingState, until: int) -> float:
    """Go on to a step, and return the last loss."""
    loss = torch.tensor(torch.nan)
    while training.step < until:
        x = torch.randn(16, 8, generator=training.rng)
        loss = nn.functional.mse_loss(training.model(x), x.sum(1, keepdim=True))
        training.optimizer.zero_grad()
        loss.backward()
        training.optimizer.step()
        training.scheduler.step()
        training.step += 1
    return loss.item()


def run(file: Path) -> int:
    """Print how both trainings end; 0 if they do so alike."""
    whole = build()
    train(whole, 40)
    write_state_dict(get_state_dict(whole), file)
    resumed = build(backwards=True)
    with read_state_dict(file) as state:
        print(plan_load(resumed, state))
        load_state_dict(resumed, state, strict=True)
    ends = train(whole, 100), train(resumed, 100)
    print(f"loss at step 100: {ends[0]:.9f} at one go, {ends[1]:.9f} resumed from step 40")
    with read_state_dict(file, root="model") as state:
        print("the model alone:", ", ".join(state))
    pairs = zip(whole.model.parameters(), resumed.model.parameters(), strict=True)
    return 0 if all(torch.equal(one, other) for one, other in pairs) else 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, help="a path of any format that is written")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return run(options.file or Path(folder, "run.safetensors"))
    except CatenError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
