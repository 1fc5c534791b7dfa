"""`labelloop serve`: the HTTP server that Label Studio calls."""

from typing import Annotated

import typer


def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind to; the setting LABELLOOP_HOST otherwise.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; the setting LABELLOOP_PORT otherwise.")] = None,
) -> None:
    """Run the HTTP server that Label Studio calls.

    [dim]Examples:[/]

    [cyan]labelloop serve[/]

    [cyan]LABELLOOP_BASIC_AUTH=user:password labelloop serve --host 0.0.0.0[/]
    """
    import uvicorn

    from labelloop.hooks import LabelLoop
    from labelloop.service.app import create_app
    from labelloop.service.context import open_context
    from labelloop.settings import load_settings

    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = load_settings(**given)
    uvicorn.run(
        create_app(open_context(settings), LabelLoop),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
    )
