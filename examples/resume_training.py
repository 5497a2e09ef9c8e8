"""Stop a training, resume it from its file, and reach the same result, bit for bit.

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
    """Return a new training; its optimizer may hold the parameters in reverse order."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 1))
    params = list(model.parameters())
    optimizer = torch.optim.AdamW(reversed(params) if backwards else params, lr=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    return TrainingState(model, optimizer, scheduler, rng=torch.Generator().manual_seed(1))


def train(training: TrainingState, until: int) -> float:
    """Train until a step, and return the last loss."""
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
    """Print the losses at the end of both trainings; return 0 if the models are equal."""
    uninterrupted = build()
    train(uninterrupted, 40)
    write_state_dict(get_state_dict(uninterrupted), file)
    resumed = build(backwards=True)
    with read_state_dict(file) as state:
        print(plan_load(resumed, state))
        load_state_dict(resumed, state, strict=True)
    losses = train(uninterrupted, 100), train(resumed, 100)
    print(f"loss at step 100: {losses[0]:.9f} uninterrupted, {losses[1]:.9f} resumed at step 40")
    with read_state_dict(file, root="model") as state:
        print("the model alone:", ", ".join(state))
    pairs = zip(uninterrupted.model.parameters(), resumed.model.parameters(), strict=True)
    return 0 if all(torch.equal(one, other) for one, other in pairs) else 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument(
        "file", nargs="?", type=Path, help="a path of any format that can be written"
    )
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return run(options.file or Path(folder, "run.safetensors"))
    except CatenError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
