"""Rows as the services wrote them over the years, deterministic by seed."""

from __future__ import annotations

import json
import random
import string
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .facts import Row

TEXTS: Final = (
    "🎥 Löwenbräu 👩🏽‍🚀",
    "بث مباشر — שידור חי",
    "cafe\u0301 n\u0303",
    "café ñ",
    """O'Brien said "yes" `now`; -- DROP TABLE vods""",
    "100% {name} %s \\ / ../..",
    "tab\tnew\nline\r",
    " leading and trailing ",
    "007",
    "1e5",
    "NULL",
    "Straße",
    "",
    "long " * 400,
)
"""Text that careless code damages."""

LARGE_INTEGERS: Final = (0, -1, 2**31, 2**53 + 1, 2**63 - 1)
FLOATS: Final = (0.0, 0.1, 1e-300, 12345.678901234567, 7200.0)
STREAM_TYPES: Final = ("webrtc", "rtmp", "rtsp", "whip")
VOD_STATUSES: Final = ("recording", "uploading", "ready", "failed")
_EPOCH: Final = datetime(2023, 1, 1, tzinfo=UTC)


class RowMaker:
    """Makes rows of one origin; makers of the same origin and seed make the same rows."""

    def __init__(self, seed: int, *origin: str) -> None:
        self._random = random.Random("/".join((str(seed), *origin)))  # noqa: S311
        self._label = "-".join(origin)

    def stream(self, number: int, app_id: int) -> Row:
        ended = self._random.random() < 0.7
        room = f"{self._label} {self._text()}"
        return {
            "id": number,
            "app_id": app_id,
            "stream_id": f"{room}/{number}",
            "type": self._random.choice(STREAM_TYPES),
            "room": self._maybe(room),
            "participant": self._maybe(self._text()),
            "status": "ended" if ended else "active",
            "started_at": self._time(),
            "ended_at": self._time() if ended else None,
            "last_stats_json": self._maybe(self._json()),
        }

    def vod(self, number: int, app_id: int) -> Row:
        row: Row = {
            "id": number,
            "app_id": app_id,
            "stream_id": self._maybe(f"{self._label}/{self._text()}"),
            "room": self._maybe(self._text()),
            "name": f"{self._text()} {self._label} {number}.mp4",
            "file_key": self._maybe(f"recordings/{self._text()}.mp4"),
            "s3_url": self._maybe(f"s3://bucket/{number}"),
            "public_url": self._maybe(f"https://cdn.example/{number}?a=1&b='2'"),
            "size_bytes": self._random.choice((*LARGE_INTEGERS, None, number)),
            "duration_s": self._random.choice((*FLOATS, None)),
            "width": self._random.choice((1920, 1280, None)),
            "height": self._random.choice((1080, 720, None)),
            "format": self._random.choice(("mp4", "hls", None)),
            "status": self._random.choice(VOD_STATUSES),
            "local_path": self._maybe(f"/data/apps/x/recordings/{number}.mp4"),
            "started_at": self._maybe(self._time()),
            "ended_at": self._maybe(self._time()),
            "metatags_json": self._maybe(self._json()),
            "snapshot_key": self._maybe(f"snapshots/{number}.jpg"),
        }
        return row

    def nameless_vod(self, number: int, app_id: int) -> Row:
        """Make a recording that only its id and content tell from others of its kind."""
        row = self.vod(number, app_id)
        row.update(stream_id=None, room=None, name="recording.mp4", started_at=None)
        return row

    def ingress(self, number: int, app: str) -> Row:
        protected = self._random.random() < 0.5
        return {
            "ingress_id": f"{'wsi' if number % 2 else 'IN'}_{self._label}_{number:06d}",
            "app": app,
            "room": self._maybe(self._text()),
            "stream_key": self._maybe(f"wsk_{self._hex(24)}"),
            "password_hash": self._hex(64) if protected else None,
            "password_salt": self._hex(32) if protected else None,
            "requires_password": int(protected),
            "validated_at": self._maybe(self._time()),
            "created_at": self._time(),
        }

    def log(self, number: int, app_id: int | None) -> Row:
        return {
            "id": number,
            "ts": self._time(),
            "level": self._random.choice(("info", "warn", "error")),
            "source": self._maybe("ingest"),
            "app_id": app_id,
            "message": self._text(),
            "meta_json": self._maybe(self._json()),
        }

    def token(self, number: int, app_id: int | None) -> Row:
        return {
            "id": number,
            "name": self._text(),
            "token_hash": self._hex(64),
            "scope": "global" if app_id is None else "app",
            "app_id": app_id,
            "allowed_ips_json": self._random.choice(('["10.0.0.0/8", "::1"]', "[]", None)),
            "last_used_at": self._maybe(self._time()),
            "created_at": self._time(),
            "revoked": number % 2,
        }

    def app(self, number: int, name: str) -> Row:
        return {
            "id": number,
            "name": name,
            "display_name": self._maybe(self._text()),
            "livekit_room_prefix": self._maybe(f"{name}-"),
            "created_at": self._time(),
            "updated_at": self._time(),
            "settings_json": self._maybe(self._json()),
        }

    def variant(self, number: int, vod_id: int) -> Row:
        return {
            "id": number,
            "vod_id": vod_id,
            "kind": self._random.choice(("master", "rendition", "alternate")),
            "format": "hls",
            "height": self._random.choice((360, None)),
            "bitrate_kbps": self._random.choice((800, None)),
            "file_key": self._maybe(f"variants/{number}.m3u8"),
            "size_bytes": self._random.choice(LARGE_INTEGERS),
            "extra_json": self._maybe(self._json()),
            "created_at": self._time(),
        }

    def target(self, number: int, app: str) -> Row:
        return {
            "id": number,
            "app": app,
            "room": self._text(),
            "stream_id": self._maybe(self._text()),
            "name": self._maybe(self._text()),
            "platform": self._random.choice(("custom", "youtube")),
            "url": f"rtmp://example/live/{self._hex(16)}",
            "url_masked": "rtmp://example/live/****",
            "egress_id": self._maybe(f"EG_{number}"),
            "status": self._random.choice(("starting", "active", "failed", "stopped")),
            "error": self._maybe(self._text()),
            "retries": number % 3,
            "started_at": self._time(),
            "ended_at": self._maybe(self._time()),
        }

    def _text(self) -> str:
        return self._random.choice(TEXTS)

    def _maybe(self, value: str) -> str | None:
        return None if self._random.random() < 0.25 else value

    def _hex(self, length: int) -> str:
        return "".join(self._random.choices(string.hexdigits[:16], k=length))

    def _json(self) -> str:
        value = {
            "egressId": f"EG_{self._hex(8)}",
            "title": self._text(),
            "fps": 29.97,
            "none": None,
        }
        return json.dumps(value, ensure_ascii=self._random.random() < 0.5)

    def _time(self) -> str:
        """Pick a moment, in one of the two formats that occur side by side."""
        moment = _EPOCH + timedelta(milliseconds=self._random.randrange(3 * 10**10))
        if self._random.random() < 0.5:
            return moment.strftime("%Y-%m-%d %H:%M:%S")
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
