"""What all commands share: how they log, and how a failure is told."""

import logging
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from labelloop import __version__
from labelloop.errors import LabelloopError

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LabelloopGroup(TyperGroup):
    """The commands, with a failure told as one sentence on the error stream and exit code 1 instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except LabelloopError as error:
            typer.secho(f"labelloop: {error}", fg="red", err=True)
            raise typer.Exit(1) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def root_options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every step.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Labelloop, a Label Studio ML backend that learns while people label."""
    logging.basicConfig(stream=sys.stderr, format=LOG_FORMAT, level=logging.INFO)
    logging.getLogger("labelloop").setLevel(logging.DEBUG if verbose else logging.INFO)
    # They tell of each loading of an encoder and each opening of a store: once per job in a worker, and in the midst of what a
    # command shows.
    for library in ("sentence_transformers", "aiobotocore", "botocore"):
        logging.getLogger(library).setLevel(logging.INFO if verbose else logging.WARNING)
