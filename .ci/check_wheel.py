"""Run the main job of the installed wheel on an installation of each era, and on the mixed one.

Run by the Python that has the wheel installed: check_wheel.py FOLDER. Exits 1 with the first
thing that is not as it should be.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pyrage

import streamhub_orm
from streamhub_orm.cli import cli
from streamhub_orm.demo import ERAS

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOL = Path(sysconfig.get_path("scripts")) / "streamhub-db"


def expect(*, that: bool, because: object) -> None:
    """End the run unless the condition holds."""
    if not that:
        sys.exit(f"FAILED: {because}")


def tool(*arguments: str | Path) -> str:
    """Run streamhub-db; return what it printed."""
    command = [str(word) for word in (TOOL, *arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    expect(
        that=done.returncode == 0,
        because=f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}",
    )
    return done.stdout


def databases(folder: Path) -> dict[str, str]:
    """Return the digest of every database file and of every non-empty -wal."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.db*"))
        if path.suffix == ".db" or ".bak-" in path.name or path.stat().st_size
        if not path.name.endswith(("-shm", ".lock"))
    }


def check_status(folder: Path) -> None:
    """Every file is at head and nothing is left to import."""
    status = json.loads(tool("--data-dir", folder, "status", "--json"))
    expect(that=status["ok"] and status["split_done"], because=status)
    for database in (status["global"], *status["apps"]):
        expect(that=database["state"] == "current", because=database)
        expect(that=database["revision"] == database["head"], because=database)
    expect(that=not any(app["pending_import"] for app in status["apps"]), because=status)


def upgrade(folder: Path) -> dict[str, Any]:
    """Run the main job; return its report."""
    report: dict[str, Any] = json.loads(tool("--data-dir", folder, "upgrade", "--json"))
    expect(that=report["ok"] is True and report["failed"] == 0, because=report)
    return report


def check_installation(folder: Path, *demo_options: str) -> None:
    """Write an installation, upgrade it, look at the result, and upgrade it again."""
    tool("demo", folder, *demo_options)
    imported = sum(sum(app["imported"].values()) for app in upgrade(folder)["apps"])
    check_status(folder)
    tool("--data-dir", folder, "check")
    before = databases(folder)
    again = upgrade(folder)
    expect(that=not again["global"]["changed"], because=again)
    expect(that=databases(folder) == before, because=f"{folder}: a second run changed bytes")
    print(f"{folder.name}: {len(before)} database files, {imported} rows imported, all current")


def check_commands(folder: Path) -> None:
    """Every command can be imported with the dependencies of the wheel alone."""
    commands = list(commands_below(cli, click.Context(cli)))
    expect(that=len(commands) > len(cli.list_commands(click.Context(cli))), because=commands)
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    archives = ("--local-dir", folder / "archives")
    data_dir = ("--data-dir", folder / "demo")
    tool(*data_dir, "backup", "create", *archives, "--recipient", recipient)
    tool(*data_dir, "backup", "check", *archives, "--max-age", "26h")
    tool(*data_dir, "report", "--html", folder / "report.html")
    tool(*data_dir, "packaging", folder / "system")
    service = folder / "system/usr/local/lib/systemd/system/streamhub-backup.service"
    expect(that=f"ExecStart={TOOL.resolve()} " in service.read_text("utf-8"), because=service)
    print(f"{len(commands)} commands have their modules; backup, report and packaging run")


def commands_below(group: click.Group, context: click.Context) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command and group."""
    for name in group.list_commands(context):
        yield (name,)
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((name, *rest) for rest in commands_below(command, context))


def main() -> None:
    """Check every era."""
    home = Path(sys.prefix).resolve()
    expect(that=Path(streamhub_orm.__file__).resolve().is_relative_to(home), because=home)
    expect(that=not any(Path.cwd().iterdir()), because=f"{Path.cwd()} is not empty")
    root = Path(sys.argv[1])
    for era in ERAS:
        check_installation(root / era, "--era", era)
    check_installation(root / "demo")
    check_commands(root)
    expect(that=not any(Path.cwd().iterdir()), because=f"{Path.cwd()} was written to")


if __name__ == "__main__":
    main()
