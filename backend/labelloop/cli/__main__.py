"""`python -m labelloop.cli`, the way `labelloop up` starts its own processes."""

from labelloop.cli import app

app(prog_name="labelloop")
