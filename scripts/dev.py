#!/usr/bin/env python3
"""Set up this checkout and run it, with nothing but Python and git on the machine.

    python3 scripts/dev.py demo [FOLDER]     the main job on a small old installation
    python3 scripts/dev.py test [ARGS …]     the test suite; ARGS go to pytest
    python3 scripts/dev.py lint              ruff, mypy, import-linter
    python3 scripts/dev.py docs [FOLDER]     the documents and the API reference as a site
    python3 scripts/dev.py wheel             dist/*.whl

Everything is installed into .venv beside this checkout's pyproject.toml, or into the folder that
STREAMHUB_VENV names. Old versions of Python must be able to read this file, to be told so.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDED = (3, 11)


class DevError(Exception):
    """What a person has to mend: the machine lacks something, or a check failed."""


class Venv:
    """The virtual environment, which holds the project in editable form."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; nothing is made yet."""
        self.folder = folder
        self.bin = folder / "bin"
        self.python = self.bin / "python"

    def ensure(self, group: str | None = None) -> None:
        """Make the environment and install the project with one dependency group, where needed."""
        if not self._is_stamped("pip", "1"):
            check_venv_module()
            say(f"Making a virtual environment in {self.folder}")
            run(sys.executable, "-m", "venv", self.folder)
            self._pip("--upgrade", "pip>=25.1")  # older ones know no dependency groups
            self._stamp("pip", "1")
        wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
        stamp = group or "project"
        if not self._is_stamped(stamp, wanted):
            say(f"Installing {f'the {group} tools' if group else 'streamhub-orm'}")
            self._pip("--editable", str(ROOT), *(["--group", group] if group else []))
            self._stamp(stamp, wanted)

    def _pip(self, *arguments: str) -> None:
        options = ("--quiet", "--disable-pip-version-check")
        # pip looks for --group in the pyproject.toml of the current folder
        run(self.python, "-m", "pip", "install", *options, *arguments, cwd=ROOT)

    def _is_stamped(self, name: str, text: str) -> bool:
        stamp = self.folder / f".dev-{name}"
        return self.python.exists() and stamp.exists() and stamp.read_text() == text

    def _stamp(self, name: str, text: str) -> None:
        (self.folder / f".dev-{name}").write_text(text)


def check_venv_module() -> None:
    """Raise `DevError` where Python came without the means to make an environment."""
    try:
        import ensurepip  # noqa: F401, PLC0415 - Debian packs it apart
        import venv  # noqa: F401, PLC0415
    except ImportError as error:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        message = (
            f"this Python has no {error.name} module, so it cannot make a virtual environment.\n"
            f"On Debian and Ubuntu: sudo apt install python{version}-venv"
        )
        raise DevError(message) from error


def say(text: str) -> None:
    """Print one headline, before the output of what it announces."""
    print(f"\n=== {text}", flush=True)


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Run a command; a failure ends the script with the command's exit status."""
    subprocess.run([str(word) for word in command], cwd=cwd, check=True)


def demo(venv: Venv, target: Path) -> None:
    """Write the demo installation, upgrade it, and show its state before and after."""
    venv.ensure()
    tool = venv.bin / "streamhub-db"
    if (target / "DEMO.txt").is_file():
        say(f"{target} holds the demo installation already: using it as it is")
    else:
        say(f"A small old StreamHub installation in {target}")
        run(tool, "demo", target)
    for title, verb in (("Before", "status"), ("The main job", "upgrade"), ("After", "status")):
        say(f"{title}: streamhub-db --data-dir {shlex.quote(str(target))} {verb}")
        run(tool, "--data-dir", target, verb)
    say(f"Done. {target / 'DEMO.txt'} tells what was in it; the command is {tool}")


def test(venv: Venv, arguments: list[str]) -> None:
    """Run the tests: all on every core, with the slowest named; or as the arguments say."""
    venv.ensure("test")
    arguments = arguments or ["--numprocesses=auto", "--durations=20"]
    say("pytest " + " ".join(map(shlex.quote, arguments)))
    run(venv.python, "-m", "pytest", *arguments, cwd=ROOT)


def lint(venv: Venv) -> None:
    """Run every check that needs no test run; all of them, before the first failure counts."""
    venv.ensure("lint")
    checks = (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("lint-imports",),
    )
    failed = []
    for tool, *arguments in checks:
        title = " ".join((tool, *arguments))
        say(title)
        if subprocess.run([venv.bin / tool, *arguments], cwd=ROOT, check=False).returncode:
            failed.append(title)
    if failed:
        message = "failed: " + ", ".join(failed)
        raise DevError(message)


def docs(venv: Venv, folder: Path) -> None:
    """Draw the tables as the models are now and build the site; a warning is an error."""
    venv.ensure("docs")
    say("The drawings of the tables")
    run(venv.python, ROOT / "docs/draw_entities.py")
    say(f"The site, in {folder}")
    os.environ["NO_MKDOCS_2_WARNING"] = "1"  # news of the theme's authors, on each build
    run(venv.bin / "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder, cwd=ROOT)


def wheel(venv: Venv, folder: Path) -> None:
    """Build the wheel with the tools of the environment, so without a further download."""
    venv.ensure("test")
    say(f"Building the wheel in {folder}")
    run(venv.python, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, cwd=ROOT)


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split the command line into this script's part and what pytest gets."""
    parser = argparse.ArgumentParser(
        description="Set up this checkout and run it.", epilog="STREAMHUB_VENV: where to install."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add = commands.add_parser("demo", help="run the main job on a small old installation")
    add.add_argument("folder", nargs="?", type=Path, default=Path("demo-data"))
    commands.add_parser("test", help="run the tests; what follows goes to pytest", add_help=False)
    commands.add_parser("lint", help="run ruff, mypy and import-linter")
    add = commands.add_parser("docs", help="build the site from the documents and docstrings")
    add.add_argument("folder", nargs="?", type=Path, default=ROOT / "site")
    add = commands.add_parser("wheel", help="build the wheel")
    add.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist")
    found, rest = parser.parse_known_args(arguments)
    if rest and found.command != "test":
        parser.error("unknown arguments: " + " ".join(rest))
    return found, rest


def main() -> int:
    """Run one command; return the exit status."""
    if sys.version_info < NEEDED:
        print(
            f"streamhub-orm needs Python 3.11 or newer, found {sys.version.split()[0]} at "
            f"{sys.executable}.\nRun this with a newer one, e.g. python3.12 scripts/dev.py",
            file=sys.stderr,
        )
        return 2
    found, rest = parse(sys.argv[1:])
    venv = Venv(Path(os.environ.get("STREAMHUB_VENV") or ROOT / ".venv").absolute())
    try:
        if found.command == "demo":
            demo(venv, found.folder.absolute())
        elif found.command == "test":
            test(venv, rest)
        elif found.command == "lint":
            lint(venv)
        elif found.command == "docs":
            docs(venv, found.folder.absolute())
        else:
            wheel(venv, found.folder.absolute())
    except DevError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"dev.py: failed: {shlex.join(error.cmd)}", file=sys.stderr)
        return error.returncode if error.returncode > 0 else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
