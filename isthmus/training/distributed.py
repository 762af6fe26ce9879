"""One training in several processes, started by torchrun:

    torchrun --nproc-per-node 2 -m isthmus train photos/ -o photos.safetensors

Every process holds the whole model and reads its part of every batch; gradients are summed over the processes
before any weight is changed, so that all take the step that one process would take with the whole batch. Only
process 0 writes and reports, and its measurements decide for all. Gradients are summed here and not by
DistributedDataParallel, because several players with their own gradient routes share one pass.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from isthmus.errors import IsthmusError, ProcessError, UsageError

T = TypeVar("T")

STEP_TIMEOUT = timedelta(minutes=30)  # a process is lost if it sends no message for this long in a step
_POLL_SECONDS = 0.02


class LostError(Exception):
    """Another process is gone."""


class _PeerFailed(Exception):  # noqa: N818 - it never leaves this module
    """Another process failed within the block that all run in lockstep."""


class ProcessGroup:
    """The processes of a training, as one of them holds them. `SINGLE_PROCESS` is a training in one process.

    Args:
        number: of this process, from 0.
        count: of all.
        local: number among those of the same machine.
    """

    def __init__(self, number: int = 0, count: int = 1, local: int = 0) -> None:
        self.number, self.count, self.local = number, count, local
        self._block, self._exchanges = "", 0  # of the block in lockstep, and the values exchanged within it

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.number == 0

    # ------------------------------------------------------------ before the first step

    @contextmanager
    def lockstep(self) -> Iterator[None]:
        """A block that all processes run; if it fails in one, it fails in all, and one of them reports the
        error.

        Values are exchanged within such a block only.

        Raises:
            ProcessError: it failed here, and not in process 0.
            SystemExit: it failed elsewhere.
        """
        if self.count == 1:
            yield
            return
        self._block, self._exchanges = _next_turn(), 0
        error: IsthmusError | None = None
        try:
            yield
        except _PeerFailed:
            pass
        except IsthmusError as failure:
            error = failure
        except BaseException as failure:
            self._post("end", str(failure) or type(failure).__name__, failed=True)
            raise
        self._post("end", None if error is None else error.message, failed=error is not None)
        messages = self._collect("end", stop_at_failure=False)
        failed = [number for number, message in enumerate(messages) if message is not None]
        if not failed:
            return
        if self.number != failed[0] or error is None:
            raise SystemExit(1)
        if self.is_first:
            raise error
        raise ProcessError(
            "process {number} of {count}: {reason}",
            id="process.problem",
            hint=error.hint,
            number=self.number,
            count=self.count,
            reason=error.message,
        )

    def run_first_per_machine(self, do: Callable[[], T]) -> T:
        """Run `do` in the first process of every machine, then in the others, which find its files on the
        disk.
        """
        if self.count == 1:
            return do()
        result = [do()] if self.local == 0 else []
        self._exchange(None)
        return result[0] if result else do()

    def broadcast(self, value: T) -> T:
        """The JSON value that process 0 has."""
        return value if self.count == 1 else self._exchange(value)[0]

    def _exchange(self, value: Any) -> list[Any]:
        """The JSON values of all processes, in their order."""
        key = str(self._exchanges)
        self._exchanges += 1
        self._post(key, value)
        return self._collect(key)

    def _post(self, key: str, value: Any, *, failed: bool = False) -> None:
        store = _store()
        store.set(f"{self._block}/{key}/{self.number}", json.dumps(value))
        if failed:
            store.set(f"{self._block}/failed", "")

    def _collect(self, key: str, *, stop_at_failure: bool = True) -> list[Any]:
        store = _store()
        keys = [f"{self._block}/{key}/{number}" for number in range(self.count)]
        # Polled, because reading a large folder may take any time, and Python must stay interruptible.
        while not store.check(keys):
            if stop_at_failure and store.check([f"{self._block}/failed"]):
                raise _PeerFailed
            time.sleep(_POLL_SECONDS)
        return [json.loads(store.get(key)) for key in keys]

    # ------------------------------------------------------------ in a step

    def sum_over_processes(self, tensors: Sequence[Tensor]) -> None:
        """Every tensor becomes its sum over all processes, in place, in one message.

        Raises:
            LostError: a process is gone; the tensors hold nothing useful then.
        """
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        _sum(flat)
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view(tensor.shape))
            start += tensor.numel()

    def any(self, flag: bool) -> bool:
        """Whether it is true in any process."""
        if self.count == 1:
            return flag
        votes = torch.tensor(float(flag))
        _sum(votes)
        return bool(votes > 0)

    def broadcast_numbers(self, numbers: Sequence[float]) -> list[float]:
        """The numbers that process 0 gives; as many must be given everywhere.

        Raises:
            LostError: a process is gone.
        """
        if self.count == 1:
            return list(numbers)
        values = torch.tensor(numbers, dtype=torch.float64)
        if not self.is_first:
            values.zero_()
        _sum(values)
        result: list[float] = values.tolist()
        return result

    def mean_joiner(self, share: float) -> Callable[[Tensor], Tensor] | None:
        """How means over this process's `share` of a batch become means over all of it."""
        if self.count == 1:
            return None

        def join(mean: Tensor) -> Tensor:
            result: Tensor = _SharedMean.apply(mean, share)  # type: ignore[no-untyped-call]
            return result

        return join

    # ------------------------------------------------------------ when something goes wrong

    def is_first_to_report(self) -> bool:
        """True in one process only, the first to call this: it reports the error and saves the state."""
        if self.count == 1:
            return True
        try:
            return int(_store().add("lost", 1)) == 1
        except RuntimeError:  # the store went with a process
            return self.is_first


SINGLE_PROCESS = ProcessGroup()


class _SharedMean(torch.autograd.Function):
    """Σ over processes of share · mean. Losses are weighed by the same shares, so gradients sum likewise."""

    @staticmethod
    def forward(ctx: Any, mean: Tensor, share: float) -> Tensor:
        ctx.share = share
        total = mean.detach() * share
        _sum(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        _sum(total)
        return total * ctx.share, None


def _sum(tensor: Tensor) -> None:
    # Apple's devices have no messages of their own.
    message = tensor if tensor.device.type in ("cpu", "cuda") else tensor.cpu()
    try:
        dist.all_reduce(message)
    except RuntimeError as error:
        raise LostError(str(error)) from error
    if message is not tensor:
        tensor.copy_(message)


@contextmanager
def join_processes() -> Iterator[ProcessGroup]:
    """The processes that torchrun started, joined; `SINGLE_PROCESS` where it did not, or started one.

    Raises:
        UsageError: this PyTorch cannot join processes.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    started = count > 1 and {"RANK", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()
    if not started:
        yield SINGLE_PROCESS
        return
    if not dist.is_available() or not dist.is_gloo_available():
        raise UsageError(
            "this PyTorch was built without gloo: it can train in one process only", id="training.no-gloo"
        )
    number = int(os.environ["RANK"])
    local = int(os.environ.get("LOCAL_RANK", number))
    if dist.is_initialized():  # by a program that calls `isthmus.train`; it also ends it
        yield ProcessGroup(number, count, local)
        return
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(local % torch.cuda.device_count())
        # Processes that share a GPU cannot talk through nccl.
        alone_on_it = int(os.environ.get("LOCAL_WORLD_SIZE", count)) <= torch.cuda.device_count()
        backend = "cpu:gloo,cuda:nccl" if dist.is_nccl_available() and alone_on_it else "gloo"
    dist.init_process_group(
        backend,
        store=PrefixStore(_next_turn(), _store()),
        rank=number,
        world_size=count,
        timeout=STEP_TIMEOUT,
    )
    try:
        yield ProcessGroup(number, count, local)
    finally:
        with suppress(RuntimeError):  # other processes may be gone already
            dist.destroy_process_group()


@functools.cache
def _store() -> Store:
    """The store through which processes exchange short messages; torchrun runs it."""
    store, _, _ = next(iter(rendezvous("env://")))
    return PrefixStore("isthmus", store)


_turns = iter(range(2**62))


def _next_turn() -> str:
    """A name that is the next one in every process, for all take the same turns."""
    return f"turn-{next(_turns)}"
