#!/usr/bin/env python3
"""What `systemctl` does for units of one shot, on a machine where systemd does not run.

systemctl enable --now TIMER …    fails where a timer, its service or its [Install] lacks
systemctl start SERVICE           runs its commands as its user, and its OnFailure= if one fails
"""

from __future__ import annotations

import configparser
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

UNITS: Final = Path("/usr/local/lib/systemd/system")


def read_unit(name: str) -> configparser.ConfigParser:
    """Return a unit; of a template the instance that is named, with its specifiers filled in."""
    stem, suffix = name.rsplit(".", 1)
    prefix, at, instance = stem.partition("@")
    text = (UNITS / f"{prefix}{at}.{suffix}").read_text("utf-8")
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text.replace("%N", stem).replace("%i", instance))
    # The parser keeps the last of several; a service runs all of them.
    lines = (line.partition("=") for line in text.splitlines())
    commands = [value.replace("%i", instance) for key, _, value in lines if key == "ExecStart"]
    if commands:
        unit["Service"]["ExecStart"] = "\n".join(commands)
    return unit


def environment(service: configparser.SectionProxy) -> dict[str, str]:
    """Return the variables of the service, and PATH."""
    lines = Path(service["EnvironmentFile"]).read_text("utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and line[0] != "#")
    named = dict([service["Environment"].split("=", 1)]) if "Environment" in service else {}
    return {"PATH": os.environ["PATH"], **named, **{key: value for key, _, value in pairs}}


def start(name: str) -> int:
    """Run a service to its end."""
    unit = read_unit(name)
    service = unit["Service"]
    user = f"--reuid={service['User']} --regid={service['Group']} --init-groups".split()
    for command in service["ExecStart"].splitlines():
        done = subprocess.run(
            ["setpriv", *user, "--no-new-privs", "--bounding-set=-all", *shlex.split(command)],
            env=environment(service),
            cwd="/",
            check=False,
        )
        if done.returncode:
            if "OnFailure" in unit["Unit"]:
                start(unit["Unit"]["OnFailure"])
            return done.returncode
    return 0


def main() -> int:
    """Run one command; return the exit status."""
    command, *names = sys.argv[1:]
    if command == "start":
        return max(map(start, names))
    if command != "enable" or names.pop(0) != "--now":
        return 2
    for name in names:
        timer, service = read_unit(name), read_unit(name.replace(".timer", ".service"))
        if timer["Install"]["WantedBy"] != "timers.target" or not service["Service"]["ExecStart"]:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
