"""`streamhub-db completion`, and how names of apps complete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import print_json

Command = TypeVar("Command", bound=Callable[..., Any])

SHELLS: Final = ("bash", "zsh", "fish")
_MOST: Final = 200
"""Names that are offered; a shell asks before it shows more."""


class AppName(click.ParamType[str]):
    """Name of an app, which the shell completes from the registry."""

    name = "name"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,  # noqa: ARG002
        ctx: click.Context | None,  # noqa: ARG002
    ) -> str:
        """Return it as it is; the command finds out whether there is such an app."""
        return str(value)

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the registered names that begin so; none where the registry cannot be read.

        The shell waits for this, and shows nobody an error.
        """
        from streamhub_orm.data_dir import DataDir  # noqa: PLC0415 - only to complete
        from streamhub_orm.owner import become_owner  # noqa: PLC0415
        from streamhub_orm.registry import list_app_names  # noqa: PLC0415

        named = [it.params.get("data_dir") for it in (ctx, ctx.parent, ctx.find_root()) if it]
        root = Invocation(data_dir=next((it for it in named if isinstance(it, Path)), None)).root
        try:
            become_owner(root, for_good=True)
            names = list_app_names(DataDir.find(root))
        except Exception:  # noqa: BLE001 - whatever it is, the line that is typed must stay whole
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)][:_MOST]


def app_option(help_: str, *, many: bool = False) -> Callable[[Command], Command]:
    """Return the option --app: `app` in the command or, where it is taken repeatedly, `apps`."""
    name = "apps" if many else "app"
    return click.option("--app", name, type=AppName(), multiple=many, metavar="NAME", help=help_)


def completion_script(command: click.Command, program: str, shell: str) -> str:
    """Return what makes a shell complete the program's commands, options and names of apps."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has the three
    variable = f"_{program}_COMPLETE".replace("-", "_").upper()
    # Not bash's own method, which starts a bash to ask for its version.
    return ShellComplete.source(kind(command, {}, program, variable))


@click.command
@click.argument("shell", type=click.Choice(SHELLS))
@global_options
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands, options and names of apps.

    bash: `eval "$(streamhub-db completion bash)"` in ~/.bashrc; zsh the same in ~/.zshrc; fish:
    `streamhub-db completion fish | source` in its config.
    """
    root = context.find_root()
    script = completion_script(root.command, root.info_name or "streamhub-db", shell)
    if context.obj.json:
        print_json({"ok": True, "shell": shell, "script": script})
    else:
        click.echo(script)
