"""A migration written by docs/MIGRATIONS.md, in a copy of the checkout, leaves the suite green."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm.migrations.worlds import APP, GLOBAL
from tests.support.installations.commands import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

PAGE: Final = (CHECKOUT / "docs/MIGRATIONS.md").read_text(encoding="utf-8")
PARTS: Final = (
    *(
        "alembic",
        "alembic_app",
        "benchmarks",
        "docs",
        "packaging",
        "scripts",
        "streamhub_orm",
        "tests",
    ),
    *("alembic.ini", "mkdocs.yml", "pyproject.toml", "README.md", "CHANGELOG.md"),
)
NUMBERS: Final = {world: f"{world.head[0]}{int(world.head[1:]) + 1:04d}" for world in (APP, GLOBAL)}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
    for name in PARTS:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(source, tmp_path)
    return tmp_path


def run(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )


def edit(path: Path, *edits: tuple[str, str]) -> None:
    """Put lines after the first place where the others stand."""
    text = path.read_text(encoding="utf-8")
    for after, added in edits:
        assert after in text, (path, after)
        text = text.replace(after, after + added, 1)
    path.write_text(text, encoding="utf-8")


REGION = '''
class Region(GlobalBase):
    """A region. Written when one is opened."""

    __tablename__ = "regions"

    name: Mapped[str] = mapped_column(primary_key=True)
    note: Mapped[str | None]
'''


def write_migrations(checkout: Path) -> list[Path]:
    """Do steps 1 to 3 for both worlds: columns with and without a default, an index, a table."""
    package = checkout / "streamhub_orm"
    column = '    codec: Mapped[str] = mapped_column(server_default="unknown")\n'
    note = "    note: Mapped[str | None]\n"
    edit(
        package / "app_db/vods.py",
        ("    snapshot_key: Mapped[str | None]\n", column + note),
        (
            '        Index("idx_vods_room", "room"),\n',
            '        Index("idx_vods_codec", "codec"),\n',
        ),
    )
    edit(
        package / "services/vod_rows.py",
        ("    snapshot_key: str | None\n", "    codec: str\n    note: str | None\n"),
        ("    metatags_json: dict[str, Any] | None\n", "    codec: str\n    note: str | None\n"),
    )
    edit(
        package / "global_db/apps.py",
        ("    node_id: Mapped[str | None]\n", column + note),
    )
    with (package / "global_db/apps.py").open("a", encoding="utf-8") as models:
        models.write(f"\n{REGION}")
    written = []
    for world in (APP, GLOBAL):
        (line,) = re.findall(r"`streamhub-db (revision app -m .*? --autogenerate)`", PAGE)
        words = shlex.split(line.replace("revision app", f"revision {world.name}"))
        done = run(checkout, "streamhub_orm", *words)
        assert done.returncode == 0, done.stderr
        path = checkout / world.checkout_folder / "versions" / f"{NUMBERS[world]}_add_codecs.py"
        text = re.sub(r"    # ###.*\n", "", path.read_text(encoding="utf-8"))
        text = text.replace("Say here what the step changes and why. ", "Encoders differ. ")
        text = text.replace("Say what is there afterwards.", "Add columns, with what they need.")
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def shell_lines() -> list[list[str]]:
    """Return the two commands of step 4, as this Python runs them."""
    (block,) = re.findall(r"^   ```sh\n(.*?)^   ```", PAGE, re.DOTALL | re.MULTILINE)
    lines = [shlex.split(line) for line in block.splitlines()]
    assert [line[0] for line in lines] == ["streamhub-db", "python3"]
    assert lines[1][1:3] == ["scripts/dev.py", "test"]
    return [
        ["streamhub_orm", *lines[0][1:]],
        ["pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *lines[1][3:]],
    ]


@pytest.mark.slow
def test_migrations_by_the_page_leave_the_history_part_green(checkout: Path) -> None:
    """Both worlds at once; what the page does not name need not be done."""
    write_migrations(checkout)
    for words in shell_lines():
        done = run(checkout, *words)
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        assert done.returncode == 0, "\n".join(failed) or done.stdout + done.stderr
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 200


def test_downgrade_that_deletes_rows_is_caught_by_name(checkout: Path) -> None:
    """Where the text of the revision does not show it, the walk over rows does."""
    path = write_migrations(checkout)[0]
    docstring = '    """Undo upgrade(), last step first."""\n'
    edit(path, (docstring, '    words = "DELETE FROM vods"\n    op.execute(words)\n'))
    selected = ("tests/migrations/test_histories.py", "-k", "deletes_no_row")
    done = run(checkout, "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *selected)
    assert done.returncode == 1
    assert f"{NUMBERS[APP]}: its downgrade deletes 2 of 2 rows of vods" in done.stdout
    assert "1 failed" in done.stdout
