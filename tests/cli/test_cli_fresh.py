"""Fresh installations: the whole tree that the Node core starts on, file by file."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from streamhub_orm import Databases
from tests.support.installations.commands import run_in_process
from tests.support.installations.node_core import assert_usable_by_node_core
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TREE = (
    *("apps/", "data/", "data/streamhub.db"),
    *(
        f"apps/{app}/{name}"
        for app in ("lazy", "live", "tv-2")
        for name in ("", "app.db", "config.yaml", "recordings/", "samples/", "snapshots/")
    ),
)
TABLE = """\
name: NAME
display_name: SHOWN
room_prefix: NAME
recording: {enabled: true, mode: room-composite, layout: grid, local_dir: recordings,
  delete_local_after_upload: true, split_minutes: 0, snapshot_seconds: 0}
s3: {provider: wasabi, bucket: '', region: us-east-1,
  endpoint: 'https://s3.us-east-1.wasabisys.com', force_path_style: false,
  prefix: streamhub/NAME, public_url: '',
  access_key_env: APP_SLUG_S3_KEY, secret_key_env: APP_SLUG_S3_SECRET}
webrtc: {adaptive: true, layers: [{name: high, height: 720}, {name: med, height: 480},
  {name: low, height: 240}]}
rtmp: {enabled: true, transcode: true}
transcoding: {enabled: false, encoding: h264, vod_adaptive: false, vod_renditions: []}
callbacks: {url: '', secret: ''}
mqtt: {enabled: false, url: '', username: '', password_env: APP_SLUG_MQTT_PASSWORD,
  topic_prefix: streamhub/NAME, qos: 0, tls: false, events: [all],
  logs: {enabled: false, level: info}}
latency_alert: {enabled: false, threshold_ms: 1000, cooldown_seconds: 60, interval_seconds: 10}
features: {rtmp_password: false, viewer_counter: true, chat: false, reactions: false,
  hidden_qc: true, adaptive_player: true, public_playback: true}
"""
"""The reference's table of config.yaml."""


@pytest.fixture(params=[0o002, 0o022], ids=["container", "server"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes_of(root: Path) -> dict[str, int]:
    """Return the mode of each file and folder; a folder's name ends with a slash."""
    return {
        it.relative_to(root).as_posix() + "/" * it.is_dir(): it.lstat().st_mode & 0o7777
        for it in root.rglob("*")
        if not it.name.endswith(("-wal", "-shm"))
    }


def as_pairs(value: Any) -> Any:  # noqa: ANN401 - any value of YAML
    """Return mappings as lists, so that the order of keys counts."""
    if isinstance(value, dict):
        return [(key, as_pairs(it)) for key, it in value.items()]
    return [as_pairs(it) for it in value] if isinstance(value, list) else value


def test_init_create_and_a_first_opening_make_the_tree_of_the_core(
    tmp_path: Path, umask: int
) -> None:
    """Where files lie, "apps/<app>/ … when the app is created", "Modes follow the umask"."""
    root = tmp_path / "data dir"
    assert run_in_process("--data-dir", root, "init").status == 0
    made = run_in_process("--data-dir", root, "apps", "create", "tv-2", "--display-name", "TV 2")
    assert made.status == 0
    with closing(sqlite3.connect(root / "data/streamhub.db")) as connection, connection:
        connection.execute("INSERT INTO apps (name, display_name) VALUES ('lazy', 'Lazy One')")
    with Databases(root) as databases, databases.app_session("lazy") as session:
        session.connection()

    folder_mode = 0o777 & ~umask
    expected = {name: folder_mode if name.endswith("/") else 0o600 for name in TREE}
    expected |= {name: 0o644 for name in TREE if name.endswith(".yaml")}
    assert modes_of(root) == expected
    assert root.stat().st_mode & 0o777 == folder_mode

    for app, shown in (("live", "Live"), ("tv-2", "TV 2"), ("lazy", "Lazy One")):
        text = TABLE.replace("NAME", app).replace("SHOWN", shown)
        text = text.replace("SLUG", app.upper().replace("-", "_"))
        found = yaml.safe_load((root / "apps" / app / "config.yaml").read_text("utf-8"))
        assert as_pairs(found) == as_pairs(yaml.safe_load(text))
    with closing(sqlite3.connect(root / "data/streamhub.db")) as connection:
        query = "SELECT name, display_name, livekit_room_prefix FROM apps ORDER BY id"
        rows = connection.execute(query).fetchall()
    assert rows[:2] == [("live", "Live", "live"), ("tv-2", "TV 2", "tv-2")]
    assert_usable_by_node_core(root)


def test_new_app_has_the_modes_of_the_folder_around_whatever_the_umask(
    tmp_path: Path, umask: int
) -> None:
    """An operator's sudo must not lock the worker out that records; a shared group stays."""
    root = tmp_path / "data"
    run_in_process("--data-dir", root, "init")
    (root / "apps").chmod(0o2770)
    os.umask(0o077)
    assert run_in_process("--data-dir", root, "apps", "create", "tv-2").status == 0
    found = modes_of(root / "apps/tv-2")
    assert {mode for name, mode in found.items() if name.endswith("/")} == {0o2770}
    assert found["config.yaml"] == 0o640


def test_lazy_opening_keeps_the_settings_and_media_that_are_there(tmp_path: Path) -> None:
    root = tmp_path / "data"
    run_in_process("--data-dir", root, "init")
    folder = root / "apps/tv-2"
    (folder / "recordings").mkdir(parents=True)
    (folder / "recordings/a.mp4").write_bytes(b"x")
    (folder / "config.yaml").write_text("# mine\n")
    with closing(sqlite3.connect(root / "data/streamhub.db")) as connection, connection:
        connection.execute("INSERT INTO apps (name) VALUES ('tv-2')")
    before = fingerprint_files(folder)
    with Databases(root) as databases, databases.app_session("tv-2") as session:
        session.connection()
    assert fingerprint_files(folder).items() >= before.items()
    assert (folder / "app.db").exists()


def empty(path: Path) -> None:
    path.touch()


def first_page(path: Path) -> None:
    """Leave what a start leaves that is killed right after it has chosen WAL."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def rolled_back(path: Path) -> None:
    """Leave a database whose one transaction was rolled back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE apps (id)")
        connection.execute("ROLLBACK")


@pytest.mark.parametrize("make", [empty, first_page, rolled_back])
@pytest.mark.parametrize("beside", ["nothing", "all"])
def test_global_database_without_a_table_is_taken_and_not_sent_in_a_circle(
    tmp_path: Path, make: Callable[[Path], None], beside: str
) -> None:
    """`upgrade` names `init`, `init` makes it; what a first start made beside it stays."""
    (tmp_path / "data").mkdir()
    make(tmp_path / "data/streamhub.db")
    kept = {}
    if beside == "all":
        for name in ("logs/streamhub.log", "sdk/player.js", "data/secrets.json"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("{}")
            (tmp_path / name).chmod(0o600)
        (tmp_path / "apps").mkdir()
        kept = fingerprint_files(tmp_path)
        del kept["data/streamhub.db"]
    refused = run_in_process("--data-dir", tmp_path, "upgrade")
    assert refused.status == 3
    assert "`streamhub-db init`, which takes it over" in refused.stderr
    assert run_in_process("--data-dir", tmp_path, "init").status == 0
    assert run_in_process("--data-dir", tmp_path, "upgrade").status == 0
    assert run_in_process("--data-dir", tmp_path, "check").status == 0
    assert fingerprint_files(tmp_path).items() >= kept.items()


def test_empty_global_database_beside_apps_is_a_lost_one(tmp_path: Path) -> None:
    """Both commands send to the backup, and touch nothing."""
    (tmp_path / "data").mkdir()
    empty(tmp_path / "data/streamhub.db")
    (tmp_path / "apps/live").mkdir(parents=True)
    (tmp_path / "apps/live/app.db").write_bytes(b"rows")
    before = fingerprint_files(tmp_path)
    for command in ("upgrade", "init"):
        refused = run_in_process("--data-dir", tmp_path, command)
        assert refused.status == 3
        assert "put it back from an archive" in refused.stderr
    assert fingerprint_files(tmp_path) == before
