"""Small old installations, to try the upgrade on before a real one.

`write_demo` writes one whose apps show every era at once; `write_era` writes one of a single era.
Both write the same rows at every call and refuse a folder that holds anything.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamhub_orm.demo import eras, mixed
from streamhub_orm.demo.files import write_secrets
from streamhub_orm.durable_files import no_empty_folder_left
from streamhub_orm.engine.connections import translated
from streamhub_orm.errors import DemoTargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = ["ERAS", "DemoApp", "write_demo", "write_era"]

ERAS: Final = tuple(eras.ERAS)
"""The names that `write_era` takes, oldest first."""

_HEADER: Final = """\
A demo of a StreamHub installation, made by `streamhub-db demo`. Nothing in it is real.

    streamhub-db --data-dir . status     what is there
    streamhub-db --data-dir . upgrade    bring every database to head
    streamhub-db --data-dir . check      compare the result with what it should be

Apps:

"""
_MIXED_FOOTER: Final = """
The Node core was stopped while it converted this installation, so the global database is at
step 7 without its split marker. It holds rows of a deleted app as well (counted as orphans), and
apps/old-test has an app.db but no row in the registry (named as unregistered, not touched).
"""


@dataclass(frozen=True)
class DemoApp:
    """One app of a demo installation and what state it is in."""

    name: str
    story: str


def write_demo(target: Path) -> list[DemoApp]:
    """Write an installation that shows all eras at once; raise `DemoTargetError` if not empty."""
    apps = [DemoApp(name, story) for name, (_, story) in mixed.APPS.items()]
    _write(target, mixed.write_mixed, apps, _MIXED_FOOTER)
    return apps


def write_era(target: Path, era: str) -> list[DemoApp]:
    """Write an installation of one of `ERAS`; raise `DemoTargetError` if not empty."""
    write = eras.ERAS[era]
    apps = [DemoApp(name, f"{era}: {title}") for name, title in eras.APPS.items()]
    _write(target, write, apps, f"\n{write.__doc__}\n")
    return apps


def _write(
    target: Path, write: Callable[[Path], None], apps: Iterable[DemoApp], footer: str
) -> None:
    """Write all or nothing: whatever stops `write` takes its files and new folders along."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DemoTargetError(target)
    target = target.absolute()
    with translated(target, "writing the demo"), no_empty_folder_left(target):
        target.mkdir(parents=True, exist_ok=True)
        try:
            write(target)
            _write_beside(target, apps, footer)
        except BaseException:
            for path in target.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            raise


def _write_beside(target: Path, apps: Iterable[DemoApp], footer: str) -> None:
    """Write what lies beside the databases."""
    flat = (target / "streamhub.db").exists()
    write_secrets(target / ("secrets.json" if flat else "data/secrets.json"))
    (target / "logs").mkdir()
    lines = "".join(f"    {app.name:<14}{app.story}\n" for app in apps)
    (target / "DEMO.txt").write_text(_HEADER + lines + footer, encoding="utf-8")
