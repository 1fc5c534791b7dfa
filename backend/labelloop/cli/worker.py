"""`labelloop worker`: the process that trains."""


def worker() -> None:
    """Run one worker: it trains, publishes versions and orders the queue.

    Start several to train several projects side by side.

    [dim]Example:[/]

    [cyan]REDIS_URL=redis://localhost:6379 labelloop worker[/]
    """
    from labelloop.cli.console import redis_needed
    from labelloop.service.worker import run_worker
    from labelloop.settings import load_settings

    settings = load_settings()
    with redis_needed():
        run_worker(settings)
