"""Rows as a server of that time wrote them: the same at every call, in both timestamp formats."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

Row = Mapping[str, str | int | float | None]

_START: Final = datetime(2024, 3, 1, 18, 30, tzinfo=UTC)
_PEOPLE: Final = ("Zoë", "王小明", "obs-1", "Łukasz", "камера-2")
_KINDS: Final = ("webrtc", "rtmp", "whip", "rtsp")
_MEBIBYTE: Final = 1 << 20

# scrypt of "demo-password", as the ingress service and the login of a user store it
_INGRESS_SALT: Final = "9f1c2ab04de857369f1c2ab04de85736"
_INGRESS_HASH: Final = "7536378c9c8d4087448857c67f114942711658557e104ec79d47454b2da04553"
_USER_SCRYPT: Final = (
    "scrypt$32768$8$1$5d20c1b7e94f8a3306f2d4170bc8a95e$"
    "81b004547a67dea010d3b65edfe8e5ffb92017484d0aa8af853cdb8fa8a661b4"
    "898bc4a8f07f55ab1653797ce4e157eaa0f424ee730c8299dac305c25c1dd199"
)


def sql_time(hours: float) -> str:
    """Format a moment as SQLite's datetime('now') does."""
    return (_START + timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S")


def js_time(hours: float) -> str:
    """Format a moment as JavaScript's toISOString() does."""
    moment = _START + timedelta(hours=hours, milliseconds=137)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stream(number: int, app_id: int, room: str, *, kind: str | None = None) -> Row:
    """One live session; every fifth is still on the air."""
    person = _PEOPLE[number % len(_PEOPLE)]
    ended = number % 5 != 0
    return {
        "id": number,
        "app_id": app_id,
        "stream_id": f"{room}/{person} {number}",
        "type": kind or _KINDS[number % len(_KINDS)],
        "room": room,
        "participant": f"{person} {number}",
        "status": "ended" if ended else "active",
        "started_at": sql_time(24 * number),
        "ended_at": sql_time(24 * number + 1.5) if ended else None,
        "last_stats_json": json.dumps({"viewers": 7 * number, "bitrate": 2_500_000}),
    }


def vod(number: int, app_id: int, room: str) -> Row:
    """One recording; every third was written through SQL, the others through JavaScript."""
    time = sql_time if number % 3 == 0 else js_time
    key = f"recordings/{room}/{number:04d}.mp4"
    return {
        "id": number,
        "app_id": app_id,
        "stream_id": f"{room}/{_PEOPLE[number % len(_PEOPLE)]} {number}",
        "room": room,
        "name": f"{room} · evening {number}",
        "file_key": key,
        "s3_url": f"s3://recordings/{key}",
        "public_url": None if number % 4 == 0 else f"https://cdn.example/{number:04d}.mp4",
        "size_bytes": 300 * _MEBIBYTE + 4096 * number,
        "duration_s": 5400.25 + number,
        "width": 1920,
        "height": 1080,
        "format": "mp4",
        "status": "failed" if number % 7 == 0 else "ready",
        "local_path": None,
        "started_at": time(24 * number),
        "ended_at": time(24 * number + 1.5),
        "metatags_json": json.dumps({"egressId": f"EG_{room}_{number}", "title": "Größe"}),
        "snapshot_key": f"snapshots/{room}/{number:04d}.jpg",
    }


def streams(numbers: range, app_id: int, room: str) -> list[Row]:
    """Several live sessions of one room."""
    return [stream(number, app_id, room) for number in numbers]


def vods(numbers: range, app_id: int, room: str) -> list[Row]:
    """Several recordings of one room."""
    return [vod(number, app_id, room) for number in numbers]


def without(rows: list[Row], *columns: str) -> list[Row]:
    """Return the same rows as an older table holds them, which lacks the columns."""
    return [{key: row[key] for key in row if key not in columns} for row in rows]


def changed(row: Row, **values: str | int | None) -> Row:
    """Return the row with some values replaced."""
    return {**row, **values}


def ingress(number: int, app: str, room: str) -> Row:
    """One place to stream to; the odd ones ask for a password."""
    protected = number % 2 == 1
    digest = hashlib.sha256(f"{app}/{room}/{number}".encode()).hexdigest()
    return {
        "ingress_id": f"wsi_{digest[:12]}",
        "app": app,
        "room": room,
        "stream_key": f"wsk_{digest[12:44]}",
        "password_hash": _INGRESS_HASH if protected else None,
        "password_salt": _INGRESS_SALT if protected else None,
        "requires_password": int(protected),
        "validated_at": sql_time(30 * number) if protected else None,
        "created_at": sql_time(20 * number),
    }


def app(number: int, name: str, display_name: str) -> Row:
    """One row of the registry."""
    return {
        "id": number,
        "name": name,
        "display_name": display_name,
        "livekit_room_prefix": f"{name}-",
        "created_at": sql_time(-24 * 30 + number),
        "updated_at": sql_time(number),
        "settings_json": json.dumps({"recording": True}),
    }


def token(number: int, app_id: int | None) -> Row:
    """One API token; the plain text was shown once and is stored nowhere."""
    return {
        "id": number,
        "name": f"automation {number}",
        "token_hash": hashlib.sha256(f"sk_demo_{number}".encode()).hexdigest(),
        "scope": "global" if app_id is None else "app",
        "app_id": app_id,
        "allowed_ips_json": '["10.0.0.0/8", "::1"]' if number % 2 else None,
        "last_used_at": sql_time(50 + number),
        "created_at": sql_time(number),
        "revoked": int(number % 3 == 0),
    }


def log(number: int, app_id: int | None) -> Row:
    """One line of the server's log."""
    return {
        "id": number,
        "ts": js_time(number),
        "level": ("info", "warn", "error")[number % 3],
        "source": "recorder",
        "app_id": app_id,
        "message": f"egress {number} → ready",
        "meta_json": json.dumps({"attempt": number}),
    }


def user(number: int, email: str, name: str) -> Row:
    """One person who can log in with "demo-password"."""
    return {
        "id": f"usr_{number:08d}",
        "email": email,
        "is_superadmin": int(number == 1),
        "created_at": sql_time(number),
        "password_hash": _USER_SCRYPT,
        "status": "active",
        "name": name,
        "totp_enabled": 0,
    }
