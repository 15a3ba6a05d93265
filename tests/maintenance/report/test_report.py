"""`report --html`: one page that needs nothing else, true to the databases and fit to be read."""

from __future__ import annotations

import html
import re
import shutil
import struct
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.engine.backups import back_up
from streamhub_orm.fleet import VodTotal
from streamhub_orm.maintenance.report.facts import (
    ArchiveFacts,
    DatabaseFacts,
    FleetFacts,
    read_fleet,
)
from streamhub_orm.maintenance.report.page import (
    _SIZE_CLASSES,
    _UNUSED_CLASSES,
    MONTHS,
    SHOWN,
    render_page,
)
from streamhub_orm.maintenance.sizes import Sizes
from streamhub_orm.migrations.states import State
from tests.maintenance.conftest import app_db, run_sql
from tests.support.installations.commands import run_in_process
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.settings import S3Settings

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)
VOD = (
    "INSERT INTO vods (app_id, name, status, size_bytes, started_at) VALUES (1, 'v', 'ready', ?, ?)"
)

DEAD_BUCKET = {
    "BUCKET": "safe",
    "ENDPOINT": "http://127.0.0.1:9",
    "ACCESS_KEY_ID": "key",
    "SECRET_ACCESS_KEY": "secret",
}


@pytest.fixture
def recorded(data_dir: Path) -> Path:
    """Return an installation with recordings of three months, in both stored formats."""
    run_sql(
        app_db(data_dir, "radio"),
        VOD,
        [
            (3 * 2**30, "2025-11-03T10:00:00.000Z"),
            (2**30, "2025-11-04 10:00:00"),
            (2**30, "2026-02-01T00:00:00.000Z"),
            (7, None),
            (7, "no date"),
        ],
    )
    return data_dir


def bars(page: str) -> dict[str, tuple[float, str]]:
    """Return the length in percent and the figure of each line of the charts, by its label."""
    lines = re.findall(
        r'<tr><th scope="row">([^<]*)</th><td class="wide">(?:<div class="bar[^"]*" '
        r'style="width: ([0-9.]+)%"></div>)?</td><td class="figure">([^<]*)</td>',
        page,
    )
    return {label: (float(percent or 0), figure) for label, percent, figure in lines}


def page_of(data_dir: Path, target: Path) -> str:
    outcome = run_in_process("--data-dir", data_dir, "report", "--html", target)
    assert outcome.status == 0, outcome
    return target.read_text(encoding="utf-8")


def test_facts_are_those_of_the_databases(recorded: Path) -> None:
    path = app_db(recorded, "radio")
    back_up(path)
    fleet = read_fleet(recorded)
    assert fleet.months == {"2025-11": 4 * 2**30, "2026-02": 2**30}
    radio = next(app for app in fleet.apps if app.name == "radio")
    assert (radio.state, radio.revision, radio.error) == (State.CURRENT, radio.head, None)
    assert radio.sizes.vods == {"ready": VodTotal(5, 5 * 2**30 + 14)}
    assert radio.sizes.db_bytes == path.stat().st_size == radio.pages * radio.page_size
    assert radio.backups == 1
    assert fleet.total.vod_bytes == 5 * 2**30 + 14


def test_page_shows_months_apps_and_revisions(recorded: Path, tmp_path: Path) -> None:
    page = page_of(recorded, tmp_path / "fleet.html")
    months = {label: bar for label, bar in bars(page).items() if re.fullmatch(r"\d{4}-\d\d", label)}
    assert months == {
        "2025-11": (100, "4.0 GiB"),
        "2025-12": (0, "0 B"),
        "2026-01": (0, "0 B"),
        "2026-02": (25, "1.0 GiB"),
    }
    assert "All 4 databases can be used." in page
    assert re.search(r"current · a\d{4}", page)
    assert page.index(">radio<") < page.index(">live<")


def test_page_needs_no_other_resource(recorded: Path, tmp_path: Path) -> None:
    page = page_of(recorded, tmp_path / "fleet.html")
    for reference in ("http:", "https:", " src=", " href=", "url(", "@import", "<script", "<link"):
        assert reference not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page


def test_names_and_errors_are_escaped(data_dir: Path, tmp_path: Path) -> None:
    name = "<script>alert(1)</script>"
    run_sql(data_dir / "data" / "streamhub.db", "INSERT INTO apps (name) VALUES (?)", [(name,)])
    outcome = run_in_process("--data-dir", data_dir, "report", "--html", tmp_path / "fleet.html")
    assert outcome.status == 1
    page = (tmp_path / "fleet.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_failures_are_named_and_the_others_still_counted(recorded: Path, tmp_path: Path) -> None:
    app_db(recorded, "arena").write_bytes(b"no database " * 500)
    outcome = run_in_process(
        "--data-dir", recorded, "--json", "report", "--html", tmp_path / "fleet.html"
    )
    assert (outcome.status, outcome.report["failed"], outcome.report["apps"]) == (1, 1, 3)
    page = (tmp_path / "fleet.html").read_text(encoding="utf-8")
    assert "1 of 4 databases cannot be used." in page
    assert str(app_db(recorded, "arena")) in page
    assert "4.0 GiB" in page


def test_report_changes_no_byte_of_the_installation(recorded: Path, tmp_path: Path) -> None:
    before = fingerprint_files(recorded)
    page_of(recorded, tmp_path / "fleet.html")
    assert fingerprint_files(recorded) == before
    assert (tmp_path / "fleet.html").stat().st_mode & 0o777 == 0o600


def test_report_replaces_an_older_report_and_nothing_else(data_dir: Path, tmp_path: Path) -> None:
    target = tmp_path / "fleet.html"
    assert page_of(data_dir, target)
    assert page_of(data_dir, target)
    precious = data_dir / "data" / "streamhub.db"
    before = precious.read_bytes()
    for wrong in (precious, data_dir, tmp_path / "nowhere" / "fleet.html"):
        outcome = run_in_process("--data-dir", data_dir, "--json", "report", "--html", wrong)
        assert (outcome.status, outcome.report["ok"]) == (3, False)
        assert str(wrong) in outcome.stderr
    assert precious.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["fleet.html"]


def made_up_fleet(apps: int) -> FleetFacts:
    """Return facts of a fleet that would take long to write."""

    def facts(name: str, size: int) -> DatabaseFacts:
        sizes = Sizes(name, db_bytes=size * 4096, vods={"ready": VodTotal(size, size << 30)})
        return DatabaseFacts(
            name,
            "a0009",
            State.CURRENT,
            "a0009",
            sizes,
            pages=size,
            unused_pages=size // 3,
            page_size=4096,
        )

    fleet = FleetFacts(Path("/srv/streamhub"), facts("global", 50))
    fleet.apps = [facts(f"app-{number:05}", 1 + number % 97) for number in range(apps)]
    for broken in fleet.apps[:300]:
        broken.error = "found file is not a database"
    fleet.months.update({f"20{year:02}-06": year << 40 for year in range(10, 27)})
    return fleet


def test_page_of_ten_thousand_apps_stays_short_and_its_sums_are_of_all() -> None:
    fleet = made_up_fleet(10_000)
    page = render_page(fleet)
    assert len(page) < 60_000
    assert "300 of 10,001 databases cannot be used." in page
    assert f"the first {SHOWN} of 300" in page
    assert page.count(">app-") == 4 * SHOWN
    assert page.count("<tr>") <= 4 * SHOWN + 10 + MONTHS + len((*_SIZE_CLASSES, *_UNUSED_CLASSES))
    assert f"{fleet.total.vod_count:,} VODs" in page


def test_page_counts_one_thing_in_the_singular() -> None:
    fleet = made_up_fleet(1)
    fleet.apps[0].sizes = Sizes("app-00000", db_bytes=4096, vods={"ready": VodTotal(1, 1)})
    fleet.apps[0].error = None
    fleet.apps[0].backups = 1
    fleet.global_.sizes = Sizes("global", db_bytes=4096)
    fleet.archives = [ArchiveFacts("local", "/b", 1, 9, "n", 9, timedelta(hours=1), "60 min")]
    text = re.sub(r"<[^>]+>", " ", render_page(fleet))
    for words in ("1 file ", "1 VOD ", "1 page ", "1 backup,", "All 2 databases"):
        assert words in text
    assert not re.search(r"\b1 (?:files|VODs|pages|backups|databases)\b", text)
    fleet.apps = []
    assert "The 1 database can be used." in render_page(fleet)


def test_page_shows_the_archives_of_each_place_and_their_age() -> None:
    fleet = made_up_fleet(1)
    fleet.apps[0].error = None
    assert "Backups of the whole installation" not in render_page(fleet)
    fresh = ArchiveFacts(
        "local", "/backups", 7, 2**31, "new.tar.gz", 2**30, timedelta(hours=3), "3 h"
    )
    fleet.archives = [fresh]
    page = render_page(fleet)
    assert "<b>3 h old</b>" in page
    assert ">7 backups, 2.0 GiB<" in page
    assert 'class="bad"' not in page
    fleet.archives = [replace(fresh, age=timedelta(days=3), age_in_words="3 d")]
    assert '<b class="late">3 d old</b>' in render_page(fleet)
    fleet.archives = [fresh, ArchiveFacts("s3", "safe", error="no <answer>")]
    page = render_page(fleet)
    assert '<b class="late">no &lt;answer&gt;</b>' in page
    assert page.count('class="bad"') == 1


def test_report_knows_the_archives_and_a_bucket_that_is_not_there_stops_nothing(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, folder = tmp_path / "fleet.html", tmp_path / "archives"
    monkeypatch.setenv("BACKUP_LOCAL_DIR", str(folder))
    assert "no complete backup" in page_of(data_dir, target)
    assert run_in_process("--data-dir", data_dir, "backup", "create").status == 0
    (archive,) = folder.iterdir()
    page = page_of(data_dir, target)
    assert f'<b>0 min old</b><span class="soft"><code>{archive.name}</code>' in page
    for key, value in DEAD_BUCKET.items():
        monkeypatch.setenv(f"BACKUP_S3_{key}", value)
    done = run_in_process("--data-dir", data_dir, "--json", "report", "--html", target)
    assert done.status == 0, done
    local, bucket = done.report["archives"]
    assert (local["newest"], local["count"], local["error"]) == (archive.name, 1, None)
    assert (bucket["place"], bucket["newest"]) == ("s3", None)
    assert bucket["error"]
    assert html.escape(bucket["error"]) in target.read_text("utf-8")
    monkeypatch.setenv("BACKUP_S3_ENDPOINT", "no URL")
    assert "BACKUP_S3_ENDPOINT" in page_of(data_dir, target)


@pytest.mark.slow
def test_report_knows_the_archives_in_the_bucket(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3_settings: S3Settings
) -> None:
    values = (s3_settings.bucket, str(s3_settings.endpoint))
    keys = (s3_settings.access_key, s3_settings.secret_key)
    for name, value in zip(DEAD_BUCKET, (*values, *keys), strict=True):
        monkeypatch.setenv(f"BACKUP_S3_{name}", value)
    assert run_in_process("--data-dir", data_dir, "backup", "create").status == 0
    target = tmp_path / "fleet.html"
    done = run_in_process("--data-dir", data_dir, "--json", "report", "--html", target)
    local, bucket = done.report["archives"]
    assert (bucket["place"], bucket["count"], bucket["error"]) == ("s3", 1, None)
    assert (bucket["newest"], bucket["bytes"]) == (local["newest"], local["bytes"])
    assert s3_settings.bucket in bucket["where"]
    assert target.read_text("utf-8").count("<b>0 min old</b>") == 2


def test_bars_are_in_proportion_to_the_largest_of_their_chart_even_over_two_columns() -> None:
    fleet = made_up_fleet(10)
    fleet.months.clear()
    fleet.months.update({"2024-01": 3, "2025-12": 12})
    found = bars(render_page(fleet))
    assert [label for label in found if label.startswith("202")] == [
        f"{year}-{month:02}" for year in (2025, 2024) for month in range(12, 0, -1)
    ]
    assert (found["2024-01"], found["2025-12"]) == ((25, "3 B"), (100, "12 B"))


def test_bar_of_a_small_value_is_still_seen_and_that_of_none_is_not() -> None:
    fleet = made_up_fleet(10)
    fleet.months.clear()
    fleet.months.update({"2025-10": 1, "2025-12": 2**50})
    page = render_page(fleet)
    bar = '<div class="bar" style="width: 0.00%">'
    assert f'<tr><th scope="row">2025-10</th><td class="wide">{bar}</div></td>' in page
    assert re.search(r"\.bar \{[^}]*min-width: 2px;", page)
    assert '<tr><th scope="row">2025-11</th><td class="wide"></td>' in page


def test_bars_count_every_app_in_one_class() -> None:
    fleet = made_up_fleet(200)
    found = bars(render_page(fleet))
    sizes = [found[label][1] for label, _ in _SIZE_CLASSES[:-1]]
    expected = [0] * len(sizes)
    limits = [limit for _, limit in _SIZE_CLASSES if limit is not None]
    for app in fleet.apps:
        expected[sum(app.sizes.db_bytes >= limit for limit in limits)] += 1
    assert sizes == list(map(str, expected))
    assert found["current · a0009"] == (100, "200")


def test_page_of_an_installation_without_recordings_says_so(data_dir: Path, tmp_path: Path) -> None:
    page = page_of(data_dir, tmp_path / "fleet.html")
    assert "There are no recordings yet." in page
    assert "No database has unused pages." in page


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[str]:
    if BROWSER is None:
        pytest.skip("no Chromium on this machine")
    yield BROWSER
    shutil.rmtree(tmp_path / "profile", ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 820, 1240])
def test_browser_draws_the_page_without_complaint(
    browser: str, tmp_path: Path, width: int, scheme: str
) -> None:
    """A picture of more than background, and no message of the page's policy or a script."""
    page, picture = tmp_path / "fleet.html", tmp_path / "fleet.png"
    page.write_text(render_page(made_up_fleet(2000)), encoding="utf-8")
    options = [f"--window-size={width},2400", f"--screenshot={picture}"]
    options += ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    command = [browser, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", *options, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr
    data = picture.read_bytes()
    assert struct.unpack(">II", data[16:24]) == (width, 2400)
    assert len(data) > 100_000, "a blank page compresses to a tenth of this"
