"""``python -m tests.fuzz``: damaged files of every format, each read within limits.

    python -m tests.fuzz [--format NAME ...] [--count N] [--seed N] [--jobs N] [--keep FOLDER]

Prints the seed, which repeats a run, and each finding; a finding's input lies in the folder. The
exit code is 1 if there is any. Inputs that ever failed are kept in tests/fuzz/kept.
"""

from __future__ import annotations

import argparse
import multiprocessing
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from caten_sd.testing.within_limits import limit_memory
from tests.fuzz.seeds import SEEDS, seeds_of
from tests.fuzz.trial import damaged, finding

BATCH = 500  # inputs for one process, whose memory is then given back
MEMORY = 1 << 30  # bytes over what the process has


def _batch(format: str, seeds: list[Path], folder: Path, keep: Path, numbers: range) -> None:
    """Try the inputs of these numbers; say what is found, and keep those inputs."""
    limit_memory(0, overhead=MEMORY)
    for number in numbers:
        seed = seeds[number % len(seeds)]
        path = damaged(format, seed, folder / seed.name, number)
        (folder / "current").write_text(str(number))
        if what := finding(format, path):
            kept = keep / f"{format}-{number}{seed.suffix}"
            shutil.rmtree(kept, ignore_errors=True)
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, kept)
            print(f"{format} {number}: {what}", flush=True)
            (keep / "found").touch()


def _run(format: str, start: int, count: int, jobs: int, keep: Path) -> None:
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as scratch:
        seeds = seeds_of(format, Path(scratch) / "seeds")
        waiting = [
            range(n, min(n + BATCH, start + count)) for n in range(start, start + count, BATCH)
        ]
        running: list[tuple[multiprocessing.process.BaseProcess, Path]] = []
        while waiting or running:
            while waiting and len(running) < jobs:
                numbers = waiting.pop()
                folder = Path(scratch) / str(numbers.start)
                folder.mkdir()
                process = context.Process(
                    target=_batch, args=(format, seeds, folder, keep, numbers)
                )
                process.start()
                running.append((process, folder))
            process, folder = running.pop(0)
            process.join()
            if process.exitcode:
                number = (folder / "current").read_text()
                print(f"{format} {number}: the process ended with {process.exitcode}", flush=True)
                (keep / "found").touch()
            shutil.rmtree(folder)


def main() -> int:
    """Run the fuzzer with the options of the command line."""
    parser = argparse.ArgumentParser("python -m tests.fuzz")
    parser.add_argument("--format", action="append", choices=sorted(SEEDS), default=[])
    parser.add_argument("--count", type=int, default=20_000, help="inputs a format")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 40))
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--keep", type=Path, default=None, help="where failing inputs are put")
    options = parser.parse_args()
    keep = options.keep or Path(tempfile.mkdtemp(prefix="caten_sd-fuzz-"))
    keep.mkdir(parents=True, exist_ok=True)
    (keep / "found").unlink(missing_ok=True)
    print(f"seed {options.seed}; failing inputs go to {keep}", flush=True)
    for format in options.format or SEEDS:
        _run(format, options.seed, options.count, options.jobs, keep)
        print(f"{format}: {options.count} inputs", flush=True)
    return int((keep / "found").exists())


if __name__ == "__main__":
    sys.exit(main())
