"""`labelloop worker`: the process that trains."""


def worker() -> None:
    """Run one worker: it trains, publishes versions and orders the queue.

    Start several to train several projects side by side.

    [dim]Example:[/]

    [cyan]REDIS_URL=redis://localhost:6379 labelloop worker[/]
    """
    from labelloop.service.worker import run_worker
    from labelloop.settings import load_settings

    run_worker(load_settings())
