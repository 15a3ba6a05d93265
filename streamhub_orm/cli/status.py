"""`streamhub-db status`."""

from __future__ import annotations

import click

from streamhub_orm.cli.options import Settings, global_options, print_json
from streamhub_orm.cli.output import print_table
from streamhub_orm.status import read_status


@click.command
@global_options
@click.pass_obj
def status(settings: Settings) -> int:
    """Show where every database stands; opens them read-only."""
    found = read_status(settings.root)
    document = found.to_json()
    if settings.json:
        print_json(document)
    else:
        head = document["global"]
        rows = [("(global)", head["state"], head["revision"], head["head"], "")]
        for app in document["apps"]:
            pending = "yes" if app["pending_import"] else "no"
            rows.append((app["app"], app["state"], app["revision"], app["head"], pending))
        print_table(("database", "state", "revision", "head", "import pending"), rows)
        click.echo(f"split: {'done' if found.split_done else 'not done'}")
    for name, state in {"global": found.global_, **found.apps}.items():
        if state.error is not None and str(state.state) in {"broken", "newer"}:
            click.echo(f"Error: {name}: {state.error}", err=True)
    return 0 if found.ok else 1
