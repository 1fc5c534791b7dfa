"""How many threads the numerical libraries use."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the numerical libraries use one thread inside the block.

    Their threads wait for each other by spinning. In small steps on a machine that has other work to do, such as a second
    worker, that takes twenty times as long as one thread does; and sums by several threads differ from run to run.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        yield
