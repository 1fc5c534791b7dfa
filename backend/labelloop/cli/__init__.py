"""The command line: `labelloop COMMAND`.

Each command is a function in a module of its own, registered in one line below. Those modules import only what is
quick; a command imports what it needs when it runs, so that `labelloop --help` answers at once and never loads torch.
"""

import typer

from labelloop.cli.connect import connect, disconnect
from labelloop.cli.doctor import doctor
from labelloop.cli.root import LabelloopGroup, root_options
from labelloop.cli.serve import serve
from labelloop.cli.simulate import simulate
from labelloop.cli.status import status
from labelloop.cli.train import rescore, train
from labelloop.cli.up import up
from labelloop.cli.versions import rollback, versions
from labelloop.cli.worker import worker

app = typer.Typer(
    name="labelloop",
    cls=LabelloopGroup,
    callback=root_options,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # they may hold a token
    epilog="Every setting is an environment variable; the README lists them.",
)

app.command("up")(up)
app.command("serve")(serve)
app.command("worker")(worker)
app.command("connect")(connect)
app.command("disconnect")(disconnect)
app.command("doctor")(doctor)
app.command("status")(status)
app.command("train")(train)
app.command("rescore")(rescore)
app.command("versions")(versions)
app.command("rollback")(rollback)
app.command("simulate")(simulate)
