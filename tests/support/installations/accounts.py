"""Tenants, users and what is theirs, in the tables and columns that a file happens to have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .facts import Row
    from .site import File

_MOMENT: Final = "2024-01-01T00:00:00.000Z"
_PEOPLE: Final = range(12)

_ROWS: Final[dict[str, list[Row]]] = {
    "users": [
        {
            "id": f"u-{n}",
            "email": None if n == 1 else f"Üser{n}@Example.com",
            "is_superadmin": n % 2,
            "password_hash": None if n % 3 else f"scrypt$32768$8$1${n:032x}${n:0128x}",
            "status": "disabled" if n == 3 else "active",
            "name": "Ünal 👤" if n % 2 else None,
            "totp_secret": "JBSWY3DPEHPK3PXP" if n == 2 else None,
            "totp_enabled": int(n == 2),
        }
        for n in _PEOPLE
    ],
    "memberships": [
        {"user_id": f"u-{n}", "tenant_id": "platform", "role": ("owner", "editor", "viewer")[n % 3]}
        for n in _PEOPLE
    ],
    "sessions": [
        {"id": f"s-{n}", "user_id": f"u-{n}", "ip": "::1", "last_seen": None} for n in range(5)
    ],
    "magic_tokens": [
        {"token_hash": f"{n:064x}", "email": "a@b.example", "expires_at": _MOMENT, "kind": "invite"}
        for n in range(5)
    ],
    "ip_bans": [
        {"ip": "203.0.113.9", "reason": "'", "first_seen": _MOMENT, "banned_until": _MOMENT}
    ],
    "ip_rules": [{"cidr": "10.0.0.0/8", "action": "allow", "note": None}],
    "nodes": [
        {"id": "origin", "name": "origin", "status": "active", "stats_json": '{"cpu": 0.5}'},
        {"id": "n-2", "name": None, "status": "draining", "stats_json": None},
    ],
}


def fill_tenancy(file: File) -> None:
    """Give apps and tokens the tenants that their columns allow, some of them none at all."""
    if file.columns("tenants"):
        file.insert("tenants", [{"id": "tenant-2", "name": "Zweite 🏢", "plan": "pro"}])
        file.insert("quotas", [{"tenant_id": "tenant-2", "max_apps": -1}])
    of_apps = "tenant_id" in file.columns("apps")
    if of_apps:
        for position, app_id in enumerate(file.site.apps.values()):
            tenant = ("platform", "tenant-2", None)[position % 3]
            file.connection.execute("UPDATE apps SET tenant_id = ? WHERE id = ?", (tenant, app_id))
    if "tenant_id" in file.columns("api_tokens"):
        file.connection.execute(
            "UPDATE api_tokens SET tenant_id = CASE WHEN id % 2 THEN NULL"
            " ELSE (SELECT tenant_id FROM apps WHERE apps.id = api_tokens.app_id) END"
            if of_apps
            else "UPDATE api_tokens SET tenant_id = NULL WHERE id % 2"
        )


def fill_accounts(file: File) -> None:
    """Rows in every table of accounts, sessions, bans and nodes that the file has."""
    for table, rows in _ROWS.items():
        known = file.columns(table)
        if known:
            file.insert(table, [{k: v for k, v in row.items() if k in known} for row in rows])
