"""A process of the owner's that puts links in the place of temporary names while root works."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import pytest

from tests.attacks.security.owned import GID, UID, RootsFile, by_root, owned_copy
from tests.support.installations import Options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

# Plain C would be faster; this one is fast enough to hit several names in each run.
WATCHER: Final = """
import ctypes, os, struct, sys
root, target = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
os.setgroups([]); os.setgid({gid}); os.setuid({uid})
watch = libc.inotify_init()
folders = {{}}
def follow(folder):
    folders[libc.inotify_add_watch(watch, os.fsencode(folder), 0x100)] = folder  # IN_CREATE
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            follow(entry.path)
follow(root)
hits = 0
print("ready", flush=True)
while True:
    events = os.read(watch, 65536)
    while events:
        number, mask, _, length = struct.unpack_from("iIII", events)
        name = os.fsdecode(events[16 : 16 + length].rstrip(b"\\0"))
        events = events[16 + length :]
        path = os.path.join(folders[number], name)
        try:
            if mask & 0x40000000:  # IN_ISDIR
                follow(path)
                continue
            if "{mark}" in name and not name.endswith("-held"):
                os.symlink(target, path + ".link")
                os.replace(path + ".link", path)
                hits += 1
                print(hits, flush=True)
        except OSError:
            pass
""".format(uid=UID, gid=GID, mark="tmp")


@pytest.fixture
def found(make_installation: MakeInstallation) -> Iterator[Installation]:
    built = make_installation("node_split", rows=8, options=Options(killed_writers=False))
    with owned_copy(built) as copy:
        yield copy


def test_link_by_the_name_of_a_backup_that_leads_where_the_owner_may_not_look_is_none(
    found: Installation, tmp_path: Path
) -> None:
    """A watcher left one in the place of a backup; whoever looked where it led was refused."""
    closed = RootsFile(tmp_path / "roots")
    closed.path.parent.chmod(0o700)
    for path in found.data_dir.glob("apps/*/app.db"):
        path.with_name("app.db.bak-2026-01-02T03-04-05-678Z").symlink_to(closed.path)
    after = by_root(found, "upgrade")
    assert after.status == 0, after
    listed = by_root(found, "copies", "list")
    assert "2026-01-02" not in listed.stdout
    closed.assert_untouched()


@pytest.mark.parametrize("words", [("upgrade",), ("upgrade", "--jobs", "1"), ("backup", "create")])
def test_links_that_are_put_in_place_of_temporary_files_hit_nothing_of_roots(
    found: Installation, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Content and mode of root's file stay, however many names were replaced."""
    precious = RootsFile(tmp_path / "roots")
    command = [sys.executable, "-c", WATCHER, str(found.data_dir), str(precious.path)]
    hits = 0
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
            assert watcher.stdout is not None
            assert watcher.stdout.readline() == "ready\n"
            outcome = by_root(found, *words)
            time.sleep(0.05)
            watcher.kill()
            hits += len(watcher.stdout.read().split())
        assert outcome.status in (0, 1, 3), outcome
        assert "Traceback" not in outcome.stderr
        precious.assert_untouched()
    if words[0] == "upgrade":
        assert hits, "the watcher was too slow to replace anything"
    after = by_root(found, "upgrade")
    assert after.status == 0, after
    precious.assert_untouched()
