"""The live page: a token opens it, a cookie keeps it open, and no other site makes use of that."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from streamhub_orm import Databases
from streamhub_orm.archives import create_archive
from streamhub_orm.archives.verification import record_verified
from streamhub_orm.services import tokens
from streamhub_orm.testing.rows import add_token
from tests.admin.conftest import Served, fill, query, run_sql, serving
from tests.maintenance.report.test_report import BROWSER, QUIET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.testing.installations import Templates

FORM: Final = 'action="/sign-in"'


@pytest.fixture
def browser(served: Served) -> Iterator[httpx.Client]:
    """A client that keeps cookies and says where its forms come from."""
    with httpx.Client(
        base_url=served.url, headers={"Origin": served.url, "Sec-Fetch-Site": "same-origin"}
    ) as client:
        yield client


def sign_in(client: httpx.Client, token: str) -> httpx.Response:
    return client.post("/sign-in", data={"token": token})


def test_page_asks_for_a_token_and_then_shows_the_report(
    served: Served, browser: httpx.Client
) -> None:
    first = browser.get("/")
    assert first.status_code == 401
    assert FORM in first.text
    assert str(served.place.root) not in first.text
    taken = sign_in(browser, served.tokens["global"])
    assert (taken.status_code, taken.headers["location"]) == (303, "/")
    shown = browser.get("/")
    assert shown.status_code == 200
    assert "All 4 databases can be used." in shown.text
    assert str(served.place.root) in shown.text
    assert shown.headers["refresh"] == "60"
    [cookie] = taken.headers.get_list("set-cookie")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(re.split("; ", cookie))
    for text in (cookie, shown.text, str(shown.headers)):
        assert served.tokens["global"] not in text


def test_page_is_live(served: Served, browser: httpx.Client, place: DataDir) -> None:
    sign_in(browser, served.tokens["global"])
    assert "fresh-one" not in browser.get("/").text
    run_sql(place.global_db, "INSERT INTO apps (name) VALUES ('Fresh <one>')")
    try:
        shown = browser.get("/")
        assert "1 of 5 databases cannot be used." in shown.text
        assert "Fresh &lt;one&gt;" in shown.text
    finally:
        run_sql(place.global_db, "DELETE FROM apps WHERE name = 'Fresh <one>'")


def test_page_shows_archives_as_the_report_does(
    served: Served, browser: httpx.Client, place: DataDir
) -> None:
    sign_in(browser, served.tokens["global"])
    assert "no complete backup" in browser.get("/").text
    archive = create_archive(place.root, place.root / "backups").archive
    try:
        shown = browser.get("/").text
        assert f"<code>{archive.name}</code>" in shown
        assert "0 min old" in shown
        assert "not verified yet" in shown
        record_verified(archive)
        assert "verified 0 min ago" in browser.get("/").text
    finally:
        shutil.rmtree(archive.parent)


def test_bucket_that_is_slow_holds_no_page_up(place: DataDir, tmp_path: Path) -> None:
    """The page shows what the look before has found."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with Databases(place.root) as databases, databases.global_session() as session:
            issued = add_token(session)
        environment = {
            "BACKUP_S3_BUCKET": "slow",
            "BACKUP_S3_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "BACKUP_S3_ACCESS_KEY_ID": "key",
            "BACKUP_S3_SECRET_ACCESS_KEY": "secret",
        }
        with (
            serving(place, tmp_path, {}, **environment) as served,
            httpx.Client(base_url=served.url, headers={"Origin": served.url}) as client,
        ):
            sign_in(client, issued.plaintext)
            began = time.monotonic()
            assert client.get("/", timeout=20).status_code == 200
            assert time.monotonic() - began < 5


@pytest.mark.parametrize("bearer", ["live", "revoked", "unknown", "elsewhere", "jwt"])
def test_other_tokens_do_not_open_it(served: Served, browser: httpx.Client, bearer: str) -> None:
    refused = sign_in(browser, served.tokens[bearer])
    assert refused.status_code == 403
    assert FORM in refused.text
    assert served.tokens[bearer] not in refused.text
    assert "set-cookie" not in refused.headers
    assert browser.get("/").status_code == 401


def test_token_that_is_revoked_closes_the_page(
    served: Served, browser: httpx.Client, place: DataDir
) -> None:
    with Databases(place.root) as databases, databases.global_session() as session:
        issued = add_token(session)
    sign_in(browser, issued.plaintext)
    assert browser.get("/").status_code == 200
    with Databases(place.root) as databases, databases.global_session() as session:
        tokens.revoke(session, issued.id)
    assert browser.get("/").status_code == 401


def test_sign_out_forgets_the_word(served: Served, browser: httpx.Client) -> None:
    sign_in(browser, served.tokens["global"])
    word = browser.cookies["streamhub_admin"]
    assert 'action="/sign-out"' in browser.get("/").text
    assert browser.post("/sign-out").status_code == 303
    assert browser.get("/").status_code == 401
    browser.cookies.set("streamhub_admin", word)
    assert browser.get("/").status_code == 401


def test_cookie_opens_no_endpoint(served: Served, browser: httpx.Client, place: DataDir) -> None:
    """So no form and no script of another site can change anything by it."""
    rows = query(place.app_db("live"), "SELECT id FROM vods")
    sign_in(browser, served.tokens["global"])
    asked = {"scope": "all", "confirm": True}
    assert browser.post("/api/v1/apps/live/db/purge", json=asked).status_code == 401
    assert browser.post("/api/v1/apps/live/db/optimize").status_code == 401
    assert browser.get("/api/v1/stats").status_code == 401
    assert query(place.app_db("live"), "SELECT id FROM vods") == rows


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_forms_of_other_sites_are_refused(
    served: Served, browser: httpx.Client, headers: dict[str, str]
) -> None:
    for path in ("/sign-in", "/sign-out"):
        data = {"token": served.tokens["global"]}
        answer = browser.post(path, data=data, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "other_origin")
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "[", "0.0.0.0"],  # noqa: S104
)
def test_other_hosts_are_refused(served: Served, host: str) -> None:
    """A page elsewhere may let its own name lead here."""
    for path in ("/", "/api/v1/stats", "/metrics"):
        answer = served.client().get(path, headers={"Host": host})
        assert answer.status_code in (400, 421)
        assert FORM not in answer.text
    for own in ("localhost", "127.0.0.1:9000", "[::1]:8788", "LOCALHOST:1"):
        assert served.client().get("/api/v1/stats", headers={"Host": own}).status_code == 200


def test_proxy_that_speaks_https_is_taken_under_the_names_that_are_allowed(
    streamhub_templates: Templates, tmp_path: Path
) -> None:
    place = streamhub_templates.copy(tmp_path / "data", apps=("live", "radio", "arena"))
    names = ("--allow-host", "DB.example", "--allow-host", "other.example")
    with serving(place, tmp_path, fill(place), *names) as served:
        headers = {"Host": "db.example", "Origin": "https://db.example"}
        data = {"token": served.tokens["global"]}
        taken = served.client(None).post("/sign-in", data=data, headers=headers)
        assert taken.status_code == 303
        assert "Secure" in re.split("; ", taken.headers["set-cookie"])
        assert served.client(None).get("/", headers={"Host": "evil.example"}).status_code == 421


def test_headers_of_the_page(browser: httpx.Client) -> None:
    headers = browser.get("/").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    for part in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"):
        assert part in policy
    assert "server" not in headers


def test_forms_that_are_none(browser: httpx.Client) -> None:
    for content, status in ((b"", 403), (b"\xff\xfe", 403), (b"token=" + b"x" * 5000, 413)):
        assert browser.post("/sign-in", content=content).status_code == status
    assert browser.get("/sign-in").status_code == 405


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_chromium_shows_the_form(served: Served, tmp_path: Path) -> None:
    assert BROWSER is not None
    picture = tmp_path / "form.png"
    command = [BROWSER, *QUIET, f"--user-data-dir={tmp_path}", f"--screenshot={picture}"]
    done = subprocess.run(
        [*command, "--window-size=800,600", f"{served.url}/"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert picture.is_file(), done.stderr
    assert "Refused to" not in done.stderr
