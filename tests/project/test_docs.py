"""The documentation is true: its code runs, its commands, options and JSON are the real ones."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import pytest
from click.testing import CliRunner

from streamhub_orm import Databases
from streamhub_orm.cli import cli
from streamhub_orm.cli.options import Invocation
from streamhub_orm.demo import write_demo
from streamhub_orm.errors import RevisionRuleError
from streamhub_orm.global_db import ServerLog
from streamhub_orm.services import nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = (ROOT / "docs/CLI.md").read_text(encoding="utf-8")
CONTEXT = click.Context(cli, info_name="streamhub-db")
GLOBAL_OPTIONS: Final = {
    *("--data-dir", "--global-url", "--json", "--quiet", "--verbose", "--version", "--help"),
}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def section(command: str) -> str:
    found = re.search(rf"^## {command}\n(.*?)(?=^## |\Z)", REFERENCE, re.DOTALL | re.MULTILINE)
    assert found, f"docs/CLI.md has no section {command}"
    return found[1]


def command_named(name: str) -> click.Command:
    command: click.Command | None = cli
    for word in name.split():
        assert isinstance(command, click.Group)
        command = command.get_command(CONTEXT, word)
    assert command is not None
    return command


def commands_below(group: click.Group, *path: str) -> Iterator[str]:
    """Yield every command as it is typed: `upgrade`, `backup create`."""
    for name in group.list_commands(CONTEXT):
        command = group.get_command(CONTEXT, name)
        if isinstance(command, click.Group):
            yield from commands_below(command, *path, name)
        else:
            yield " ".join((*path, name))


COMMANDS = list(commands_below(cli))


def options_of(name: str) -> set[str]:
    options = (p for p in command_named(name).params if isinstance(p, click.Option))
    names = (name for option in options for name in (*option.opts, *option.secondary_opts))
    return {name for name in names if name.startswith("--")}


def shell_lines() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        for block in blocks(document.read_text(encoding="utf-8"), "sh"):
            yield from ((document.name, line) for line in block.splitlines() if line.strip())


def test_readme_python_code_runs_on_a_demo_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_demo(Path("demo-data"))
    codes = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "python")
    assert codes
    for code in codes:
        exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own text
    assert "Opening night" in capsys.readouterr().out


@pytest.mark.parametrize(("document", "line"), list(shell_lines()))
def test_shell_line_names_what_exists(document: str, line: str) -> None:
    program, *arguments = shlex.split(line)
    if program == "streamhub-db":
        parse(arguments)
    elif program == "python3":
        assert (ROOT / arguments[0]).is_file()
        assert arguments[1] in (ROOT / arguments[0]).read_text(encoding="utf-8")
    else:
        pytest.fail(f"{document}: no test knows {program}")


def parse(arguments: list[str]) -> None:
    """Parse a command line without running it; click raises for what it does not know."""
    command: click.Command | None = cli
    name: str | None = "streamhub-db"
    context, left = None, list(arguments)
    while command is not None:
        context = command.make_context(name, left, parent=context, obj=Invocation())
        if not isinstance(command, click.Group):
            return
        name, command, left = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )


def test_unknown_option_in_a_shell_line_would_be_found() -> None:
    with pytest.raises(click.UsageError):
        parse(["upgrade", "--no-such-option"])
    with pytest.raises(click.UsageError):
        parse(["no-such-command"])


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_help_and_a_section(name: str) -> None:
    command = command_named(name)
    assert command.help
    assert f"streamhub-db {name}" in section(name) or f"DIR {name}" in section(name)
    described = (p for p in command.params if isinstance(p, click.Option))
    assert all(option.help for option in described)


@pytest.mark.parametrize("name", COMMANDS)
def test_section_names_just_the_options_that_exist(name: str) -> None:
    prose = re.sub(r"^```.*?^```$", "", section(name), flags=re.DOTALL | re.MULTILINE)
    written = set(re.findall(r"--[a-z][a-z-]*", prose))
    own = options_of(name) - GLOBAL_OPTIONS
    assert own <= written
    assert written <= own | GLOBAL_OPTIONS


def test_global_options_are_described() -> None:
    head = REFERENCE.partition("\n## ")[0]
    assert set(re.findall(r"--[a-z][a-z-]*", head)) >= GLOBAL_OPTIONS


def shape(value: object) -> object:
    """Return the keys of a document, whatever the values; a list is like its first object."""
    if isinstance(value, dict):
        return {key: shape(value[key]) for key in value}
    if isinstance(value, list):
        return [shape(item) for item in value[:1] if isinstance(item, dict)]
    return None


def documented(example: str) -> object:
    document = json.loads(example)
    document.pop("seconds", None)
    return document


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "installation"
    write_demo(folder)
    run_json(folder, "upgrade")
    run_json(folder, "backup", "create")
    return folder


def run_json(data_dir: Path, *arguments: str, standard_input: str | None = None) -> object:
    command = ["--data-dir", str(data_dir), "--json", *arguments]
    result = CliRunner().invoke(
        cli, command, input=standard_input, obj=Invocation(), standalone_mode=False
    )
    assert result.exception is None, result.output
    document = json.loads(result.stdout)
    del document["version"], document["seconds"]  # every document has them
    return document


@pytest.mark.parametrize(
    "arguments",
    [
        "upgrade",
        "status",
        "check",
        "doctor",
        "release --dry-run",
        "history",
        "rollback --dry-run",
        "downgrade a0008 --app live",
        "backup create",
        "backup list",
        "backup verify",
        "backup check --max-age 26h",
        "backup drill",
        "copies list",
        "backup prune",
        "backup restore latest --dry-run",
        "global status",
        "health --app live",
        "optimize --app live",
        "sizes --app live",
        "purge radio --scope vods --dry-run",
    ],
)
def test_json_of_the_reference_has_the_keys_of_the_real_one(upgraded: Path, arguments: str) -> None:
    (name,) = (each for each in COMMANDS if f"{arguments} ".startswith(f"{each} "))
    (example,) = blocks(section(name), "json")
    assert shape(run_json(upgraded, *arguments.split())) == shape(documented(example))


@pytest.mark.parametrize("name", ["init", "demo"])
def test_json_of_what_writes_an_installation(tmp_path: Path, name: str) -> None:
    (example,) = blocks(section(name), "json")
    arguments = [str(tmp_path / "new")] if name == "demo" else []
    assert shape(run_json(tmp_path / "other", name, *arguments)) == shape(documented(example))


@pytest.mark.parametrize(
    "arguments",
    [
        ("issue", "deploy", "--app", "live", "--allow", "10.0.0.0/8"),
        ("list", "--app", "live"),
        ("revoke", "1"),
        ("seed",),
    ],
    ids=lambda arguments: arguments[0],
)
def test_json_of_the_token_commands(upgraded: Path, arguments: tuple[str, ...]) -> None:
    (example,) = blocks(section(f"tokens {arguments[0]}"), "json")
    real = run_json(upgraded, "tokens", *arguments, standard_input="sk_" + "x" * 43)
    assert shape(real) == shape(documented(example))


def test_json_of_the_findings_of_lint() -> None:
    (example,) = blocks(section("revision lint"), "json")
    error = RevisionRuleError(Path("x"), 1, *("",) * 4)
    assert json.loads(example)["findings"][0].keys() == error.details.keys()


def test_json_of_the_app_commands(tmp_path: Path) -> None:
    run_json(tmp_path, "init")
    for arguments in ("create tv-2 --display-name TV", "list", "delete tv-2 --yes"):
        command, *rest = arguments.split()
        (example,) = blocks(section(f"apps {command}"), "json")
        real = run_json(tmp_path, "apps", command, *rest)
        assert shape(real) == shape(documented(example))


@pytest.mark.parametrize("name", ["nodes list", "logs list", "logs purge"])
def test_json_of_nodes_and_logs(upgraded: Path, name: str) -> None:
    with Databases(upgraded) as databases, databases.global_session() as session:
        nodes.register_origin(session, stats={"cpu": 0.25, "role": "origin"})
        session.add(ServerLog(level="warn", message="slow", meta_json={"seconds": 41}))
    (example,) = blocks(section(name), "json")
    limit = ["--limit", "1"] if name == "logs list" else []
    assert shape(run_json(upgraded, *name.split(), *limit)) == shape(documented(example))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (document.parent / target).exists(), target


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("*.py")), ids=lambda p: p.name)
def test_script_is_executable_and_named_in_the_readme(script: Path) -> None:
    assert script.stat().st_mode & 0o100
    assert f"scripts/{script.name}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_set_up_script_says_what_python_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(ROOT / "scripts/dev.py"))["main"]
    monkeypatch.setattr(sys, "version_info", (3, 9, 0))
    assert main() == 2
    assert "needs Python 3.11 or newer" in capsys.readouterr().err
