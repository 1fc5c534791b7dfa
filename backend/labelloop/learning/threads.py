"""How many threads the numerical libraries use, and trainings side by side."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

SIDE_BY_SIDE: Final = 2
"""Models trained at once; more would take other work's processors."""

Given = TypeVar("Given")
Made = TypeVar("Made")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the numerical libraries use one thread inside the block.

    Their threads wait for each other by spinning. In small steps on a machine that has other work to do, such as a second
    worker, that takes twenty times as long as one thread does; and sums by several threads differ from run to run.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        yield


def side_by_side(make: Callable[[Given], Made], given: Iterable[Given]) -> list[Made]:
    """What is made of each, a few at a time in threads of one processor each.

    What is made must not depend on the process's random state, which all share.
    """
    # The threads' own limits end one after the other, and the numerical libraries' is the process's: this one outlasts them.
    with one_thread(), ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        return list(threads.map(make, given))
