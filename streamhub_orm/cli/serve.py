"""`streamhub-db serve`: the report as a live page, and the endpoints of `streamhub_orm.admin`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import echo, print_json

if TYPE_CHECKING:
    from collections.abc import Callable


@click.command
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen at.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8788,
    show_default=True,
    help="The port; 0 takes a free one.",
)
@click.option(
    "--allow-host",
    "other_names",
    multiple=True,
    metavar="NAME",
    help="A host name that a proxy before it is asked for; repeatable.",
)
@click.option(
    "--insecure-http",
    is_flag=True,
    help="Listen at an address that others reach, though tokens travel in clear.",
)
@global_options
@click.pass_obj
def serve(
    invocation: Invocation,
    host: str,
    port: int,
    other_names: tuple[str, ...],
    *,
    insecure_http: bool,
) -> int:
    """Serve the report as a live page, and the endpoints for maintenance, until Ctrl-C.

    Everything asks for an API token. Needs the extra `admin`. Exit status 1 if an optimize or a
    purge was cut off.
    """
    from streamhub_orm.admin.server import is_loopback  # noqa: PLC0415 - an extra
    from streamhub_orm.admin.server import serve as run  # noqa: PLC0415

    if not is_loopback(host) and not insecure_http:
        message = (
            f"--host {host} is an address that others reach, and HTTP shows them every token. Put "
            "a proxy that speaks HTTPS before 127.0.0.1, or pass --insecure-http."
        )
        raise click.UsageError(message)
    ready = _teller(invocation)
    invocation.ctrl_c.close()  # the server has handlers of its own
    cut_off = run(invocation.root, host, port, other_names=other_names, ready=ready)
    for work in cut_off:
        echo(f"{work} was cut off; the files are whole. Ask for it again.", err=True)
    return 1 if cut_off else 0


def _teller(invocation: Invocation) -> Callable[[str], None]:
    def tell(url: str) -> None:
        if invocation.json:
            print_json({"ok": True, "data_dir": str(invocation.root.absolute()), "url": url})
        elif invocation.verbosity >= 0:
            echo(f"serving {invocation.root.absolute()} at {url} until Ctrl-C")

    return tell
