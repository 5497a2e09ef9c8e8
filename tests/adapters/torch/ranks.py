"""Run a function of the worker in several real processes, which communicate over gloo."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import traceback
import warnings
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

TIMEOUT = 60  # seconds for a call
PATIENCE = 5  # seconds for a process to end by itself, so that it saves its coverage


class Ranks:
    """A process group of ``world`` processes, which serve many calls unless one fails."""

    def __init__(self, world: int, folder: Path) -> None:
        # torch is imported once, in the server, of which every process is a fork.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.adapters.torch.worker"])
        store = str(folder / "store")
        self.processes, self.pipes = [], []
        for rank in range(world):
            pipe, far = context.Pipe()
            process = context.Process(target=_serve, args=(far, rank, world, store), daemon=True)
            process.start()
            far.close()
            self.processes.append(process)
            self.pipes.append(pipe)
        self.alive = True

    def call(self, name: str, *arguments: Any) -> list[Any]:
        """Return what the worker's function returned in each process; None for one that died."""
        for pipe in self.pipes:
            pipe.send((name, arguments))
        try:
            results = [self._result(pipe, name) for pipe in self.pipes]
        except BaseException:
            self.close()
            raise
        return results

    def _result(self, pipe: Connection, name: str) -> Any:
        if not wait([pipe], TIMEOUT):
            raise TimeoutError(f"{name} hangs")
        try:
            failure, result = pipe.recv()
        except EOFError:
            self.close()
            return None
        if failure:
            raise AssertionError(failure)
        return result

    def close(self) -> None:
        """End the processes: ask those that wait for a call, and kill those that do not answer."""
        for pipe in self.pipes if self.alive else ():
            with contextlib.suppress(OSError):
                pipe.send(None)
        for process in self.processes:
            process.join(PATIENCE if self.alive else 0)
            process.kill()
            process.join()
        self.alive = False


def _serve(pipe: Connection, rank: int, world: int, store: str) -> None:
    os.environ.update(GLOO_SOCKET_IFNAME="lo", RANK=str(rank), WORLD_SIZE=str(world))
    import torch
    from torch import distributed

    from tests.adapters.torch import worker

    torch.set_num_threads(1)
    warnings.simplefilter("error")
    for message in worker.TORCH_WARNINGS:
        warnings.filterwarnings("ignore", message)
    distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=world
    )
    while call := pipe.recv():
        name, arguments = call
        try:
            answer = "", worker.FUNCTIONS[name](*arguments)
        except BaseException:
            answer = f"process {rank}: {traceback.format_exc()}", None
        pipe.send(answer)
