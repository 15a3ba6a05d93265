"""Who opens what, and what hostile requests get: an error in words, and nothing changed."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from tests.admin.conftest import Served, query, run_sql, wait_until
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.data_dir import DataDir

API: Final = "/api/v1"
OF_LIVE: Final = [
    ("GET", f"{API}/apps/live/db/health"),
    ("POST", f"{API}/apps/live/db/optimize"),
    ("POST", f"{API}/apps/live/db/purge"),
    ("GET", f"{API}/apps/live/sizes"),
    ("GET", f"{API}/apps/live/stats"),
]
GLOBAL: Final = [("GET", f"{API}/system/db/health"), ("GET", f"{API}/tenants/acme/usage")]
ANY: Final = [("GET", f"{API}/stats")]
EVERY: Final = [*OF_LIVE, *GLOBAL, *ANY]


def error_of(answer: httpx.Response) -> dict[str, str]:
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "todo"}
    assert all(isinstance(text, str) and text for text in error.values())
    assert "Traceback" not in answer.text
    return dict(error)


@pytest.mark.parametrize("bearer", [None, "revoked", "unknown", "jwt"])
def test_nothing_opens_without_a_token_in_use(served: Served, bearer: str | None) -> None:
    client = served.client(bearer)
    for method, path in EVERY:
        answer = client.request(method, path)
        assert (answer.status_code, error_of(answer)["code"]) == (401, "not_authenticated"), path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("bearer", "closed"),
    [("elsewhere", EVERY), ("radio", [*OF_LIVE, *GLOBAL]), ("live", GLOBAL)],
)
def test_tokens_of_others_and_from_elsewhere_are_not_allowed(
    served: Served, bearer: str, closed: list[tuple[str, str]]
) -> None:
    client = served.client(bearer)
    for method, path in closed:
        answer = client.request(method, path)
        assert (answer.status_code, error_of(answer)["code"]) == (403, "not_allowed"), path


def test_tokens_open_what_is_theirs(served: Served) -> None:
    for bearer, paths in {
        "live": [*OF_LIVE, *ANY],
        "radio": ANY,
        "here": [*GLOBAL, *ANY],
        "global": EVERY,
    }.items():
        for method, path in paths:
            if method == "GET":
                assert served.client(bearer).get(path).status_code == 200, (bearer, path)


def test_use_of_a_token_is_written(served: Served, place: DataDir) -> None:
    served.client("here").get(f"{API}/stats")
    used = "SELECT last_used_at FROM api_tokens WHERE allowed_ips_json LIKE '%127.0.0.0%'"
    wait_until(lambda: query(place.global_db, used) != [(None,)])


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Basic c2tf", "sk_x", "Bearer  ", "Bearer " + "x" * 5000, "Bearer sk_\xe9" * 9],
)
def test_headers_of_no_token(served: Served, header: str) -> None:
    """Over a socket, as no client would send some of them."""
    request = f"GET {API}/stats HTTP/1.1\r\nHost: localhost\r\nAuthorization: {header}\r\n\r\n"
    assert raw(served, request.encode("latin-1")).startswith(b"HTTP/1.1 401 ")


def test_two_authorizations_are_none(served: Served) -> None:
    good = f"Authorization: Bearer {served.tokens['global']}\r\n"
    request = f"GET {API}/stats HTTP/1.1\r\nHost: localhost\r\n{good}{good}\r\n"
    assert raw(served, request.encode()).startswith(b"HTTP/1.1 401 ")


def raw(served: Served, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", httpx.URL(served.url).port or 0), 10) as client:
        client.sendall(request)
        return client.recv(65536)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_named(served: Served, method: str) -> None:
    answer = served.client().request(method, f"{API}/apps/live/db/health")
    assert (answer.status_code, error_of(answer)["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]
    assert served.client().get(f"{API}/apps/live/db/purge").status_code == 405


@pytest.mark.parametrize(
    ("app", "status"),
    [
        ("..", 400),
        ("%2e%2e", 400),
        ("..%2f..%2fdata", 404),
        ("live%2f..%2fradio", 404),
        ("live%00", 400),
        ("LIVE", 400),
        ("liv%c3%a9", 400),
        ("live%0a", 400),
        ("%5c..%5clive", 400),
        ("x" * 4000, 400),
        ("nobody", 404),
    ],
)
def test_names_that_lead_elsewhere(served: Served, app: str, status: int) -> None:
    """Over a socket: a client would tidy the path up. A token of an app learns even less."""
    path = f"{API}/apps/{app}/sizes".encode()
    head = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer "
    for bearer, expected in {"global": status, "live": 403 if status == 400 else None}.items():
        answer = raw(served, b"GET " + path + head + served.tokens[bearer].encode() + b"\r\n\r\n")
        found = int(answer.split()[1])
        assert found == expected or (expected is None and found in (403, 404)), answer
        assert str(served.place.root).encode() not in answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"vods"',
        b"null",
        b"[" * 10_000,
        b"\xff\xfe{}",
        b'{"scope": "vods"}',
        b'{"scope": "vods", "confirm": 1}',
        b'{"scope": "vods", "confirm": "true"}',
        b'{"scope": "everything", "confirm": true}',
        b'{"scope": ["vods"], "confirm": true}',
        b'{"scope": {"a": 1}, "confirm": true}',
        b'{"scope": null, "confirm": true}',
        b'{"confirm": true}',
        b'{"scope": NaN, "confirm": true}',
    ],
)
def test_bodies_that_are_no_purge_delete_nothing(served: Served, body: bytes) -> None:
    before = fingerprint_files(served.place.apps)
    answer = served.client().post(f"{API}/apps/live/db/purge", content=body)
    assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_body")
    assert fingerprint_files(served.place.apps) == before


def test_huge_bodies_are_cut_off(served: Served) -> None:
    """Whether they say how long they are or not."""
    chunk = b"x" * 65536

    def endless() -> Iterator[bytes]:
        for _ in range(2000):
            yield chunk

    for content in (b'{"scope": "' + b"x" * 200_000 + b'"}', endless()):
        try:
            answer = served.client().post(f"{API}/apps/live/db/purge", content=content)
        except (httpx.NetworkError, httpx.RemoteProtocolError):
            continue  # it was closed while the rest was still sent
        assert (answer.status_code, error_of(answer)["code"]) == (413, "body_too_large")
    status = f"/proc/{served.process.pid}/status"
    with open(status) as file:  # noqa: PTH123 - of the kernel
        [peak] = [line for line in file if line.startswith("VmHWM")]
    assert int(peak.split()[1]) < 200_000
    assert served.client().get(f"{API}/stats").status_code == 200


def test_client_that_goes_before_its_body_is_there(served: Served) -> None:
    head = f"POST {API}/apps/live/db/purge HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n"
    bearer = f"Authorization: Bearer {served.tokens['global']}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", httpx.URL(served.url).port or 0), 10) as client:
        client.sendall((head + bearer + '{"scope"').encode())
    assert served.client().get(f"{API}/stats").status_code == 200  # and no traceback: see below


def test_huge_bodies_of_others_are_not_read(served: Served) -> None:
    content = b"x" * 500_000
    answer = served.client("radio").post(f"{API}/apps/live/db/purge", content=content)
    assert answer.status_code == 403
    assert served.client().post(f"{API}/apps/arena/db/optimize", content=content).status_code == 200


def test_tenants_that_no_id_names(served: Served) -> None:
    for tenant in ("nobody", "%00", "x" * 3000, "';--", "%ff"):
        answer = served.client().get(f"{API}/tenants/{tenant}/usage")
        assert answer.status_code in (400, 404), tenant
        assert error_of(answer)["code"] in ("unknown_tenant", "stored_value", "hidden_value")


def test_paths_that_are_none(served: Served) -> None:
    for path in ("/api/v1", f"{API}/", f"{API}/stats/", f"{API}/apps", "/docs", "/favicon.ico"):
        answer = served.client().get(path, follow_redirects=False)
        assert (answer.status_code, error_of(answer)["code"]) == (404, "not_found"), path


def test_values_that_json_does_not_know(served: Served, place: DataDir) -> None:
    """An infinite duration, sizes that are no numbers or overflow, texts that are none."""
    vod = """
        INSERT INTO vods (app_id, name, status, size_bytes, duration_s, started_at)
        VALUES (3, CAST(x'ff00' AS TEXT), 'ready', ?, 9e999, ?)"""
    now = datetime.now(UTC).isoformat()
    run_sql(place.app_db("arena"), vod, ("huge", now), (2**63 - 1, now), (2**63 - 1, now))
    try:
        for path in ("apps/arena/stats", "apps/arena/sizes", "stats", "tenants/acme/usage"):
            answer = served.client().get(f"{API}/{path}")
            assert answer.status_code == 200, answer.text
            json.loads(answer.text, parse_constant=pytest.fail)
        assert answer.json()["data"]["usage"]["recordingMinutesMonth"] is None
    finally:
        run_sql(place.app_db("arena"), "DELETE FROM vods")


def test_twenty_clients_at_once(served: Served) -> None:
    paths = [path for method, path in EVERY if method == "GET"] * 4

    def ask(path: str) -> int:
        return served.client().get(path).status_code

    with ThreadPoolExecutor(20) as clients:
        assert set(clients.map(ask, paths)) == {200}


def test_no_secret_is_in_the_log_or_an_answer(served: Served) -> None:
    answers = [
        served.client(bearer).request(method, path).text
        for bearer in ("global", "radio", "revoked", "jwt")
        for method, path in EVERY
        if method == "GET"
    ]
    written = served.errors.read_text() + json.dumps(answers)
    assert "refused GET" in written
    for token in served.tokens.values():
        assert token not in written
    assert "Traceback" not in written
