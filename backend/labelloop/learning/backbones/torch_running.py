"""How networks run: on which device, in which precision, in batches that fit its memory."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from labelloop.errors import LearningError

logger = logging.getLogger(__name__)

# Whether this process, or one it was forked from, has run a network.
_has_run = False


def pick_device(name: str) -> Any:
    """The torch device of a name; `auto` is CUDA, else Apple's MPS, else the processor.

    Raises:
        LearningError: there is no such device on this machine.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise LearningError(
            f"There is no device {name!r} here ({reason}); use auto, cpu, cuda, cuda:N or mps."
        ) from None
    return device


@contextmanager
def inference(device: Any) -> Iterator[None]:
    """No gradients; on CUDA half precision where it loses nothing."""
    import torch

    note_run()
    # bfloat16 has float32's range: no activation overflows, as it may in float16.
    half = torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float16
    with torch.inference_mode(), torch.autocast(device.type, dtype=half, enabled=device.type == "cuda"):
        yield


def draws_apart() -> AbstractContextManager[None]:
    """Draws of one's own; the caller's are as they were afterwards. GPUs that nothing has run on are left alone: one may be full."""
    import torch

    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.random.fork_rng(devices=range(torch.cuda.device_count()) if used else [])


def note_run() -> None:
    """Remember that this process has run a network, for the children it may yet fork."""
    global _has_run
    _has_run = True


def keep_statistics(network: Any) -> None:
    """Leave the running statistics of a network's batch normalisation as they were in pretraining, while it learns, too.

    Of batches as small as those of a fine-tuning they would be noise, and gradients accumulated over parts of a batch would
    not be those of the whole. Scale and shift are learnt.
    """
    import torch

    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()


def run_in_batches(count: int, size: int, run: Callable[[int, int], None]) -> None:
    """Call `run(start, stop)` over `count` items, `size` at a time; what does not fit in memory is tried in halves.

    Raises:
        LearningError: not even one item fits.
    """
    start = 0
    while start < count:
        try:
            run(start, min(start + size, count))
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if size == 1:
                raise LearningError("The device has too little memory for one item; use a smaller backbone.") from error
        else:
            start += size
            continue
        size = max(1, size // 2)
        logger.info("Out of memory; going on in batches of %d.", size)
        release_memory()


def _stay_alone_after_fork() -> None:
    """Use one thread in a child of a process that has run a network.

    The threads of its pool stayed with the parent, and a parallel step would wait for them for ever.
    """
    if _has_run:
        import torch

        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stay_alone_after_fork)


def out_of_memory(error: RuntimeError) -> bool:
    """Whether a device, or this machine, had too little memory for what raised this."""
    message = str(error).lower()
    return "out of memory" in message or "can't allocate memory" in message


def release_memory() -> None:
    """Give back what a GPU's memory is kept for and not used."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
