"""Run a function of the worker in several real processes that talk over gloo on this machine."""

from __future__ import annotations

import functools
import multiprocessing
import os
import traceback
import uuid
import warnings
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

TIMEOUT = 60  # seconds


@functools.cache
def _context() -> Any:
    # torch is imported once, in the server, of which every process is a fork.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.adapters.torch.worker"])
    return context


def run(world: int, name: str, folder: Path, *arguments: Any) -> list[Any]:
    """Return what the worker's function returned in each process; None for one that died."""
    context, store = _context(), folder / f"store-{uuid.uuid4().hex}"
    processes, pipes = [], []
    for rank in range(world):
        pipe, far = context.Pipe(duplex=False)
        process = context.Process(
            target=_work, args=(far, name, rank, world, str(store), folder, arguments), daemon=True
        )
        process.start()
        far.close()
        processes.append(process)
        pipes.append(pipe)
    try:
        return [_result(pipe, name) for pipe in pipes]
    finally:
        for process in processes:
            process.kill()
            process.join()


def _result(pipe: Connection, name: str) -> Any:
    if not wait([pipe], TIMEOUT):
        raise TimeoutError(f"{name} hangs")
    try:
        failure, result = pipe.recv()
    except EOFError:
        return None
    if failure:
        raise AssertionError(failure)
    return result


def _work(
    pipe: Connection, name: str, rank: int, world: int, store: str, folder: Path, arguments: Any
) -> None:
    os.environ.update(GLOO_SOCKET_IFNAME="lo", RANK=str(rank), WORLD_SIZE=str(world))
    import torch
    from torch import distributed

    from tests.adapters.torch import worker

    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for message in worker.TORCHS_OWN:
                warnings.filterwarnings("ignore", message)
            distributed.init_process_group(
                "gloo", init_method=f"file://{store}", rank=rank, world_size=world
            )
            result = getattr(worker, name)(folder, *arguments)
        pipe.send(("", result))
        distributed.destroy_process_group()
    except BaseException:
        pipe.send((f"process {rank}: {traceback.format_exc()}", None))
