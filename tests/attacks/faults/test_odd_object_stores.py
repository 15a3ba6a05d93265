"""Endpoints that answer, but not as S3 does: an error that names them, and no step beyond them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm import Databases
from streamhub_orm.errors import ClockSkewError, StorageError, StoreFaultError
from streamhub_orm.init import make_installation as init
from streamhub_orm.maintenance.purge import Scope, purge
from streamhub_orm.maintenance.purge_vods import BATCH
from streamhub_orm.services import vods
from streamhub_orm.settings import S3Settings
from streamhub_orm.storage import open_s3_store
from tests.support.installations.commands import run_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME: Final = "streamhub-backups/streamhub-backup-2020-01-01T00-00-00Z.tar.gz"
LISTED: Final = (
    "<ListBucketResult><IsTruncated>false</IsTruncated><Contents>{}</Contents></ListBucketResult>"
)
HTML: Final = "<!DOCTYPE html><html><body>It works!<br></body></html>"
XHTML: Final = "<html><head><title>Welcome</title></head><body>It works!</body></html>"
ELSEWHERE: Final = (
    "<DeleteResult><Error><Key>another</Key><Code>InternalError</Code></Error></DeleteResult>"
)
WHOLE: Final = (
    f"<Key>{NAME}</Key><LastModified>2020-01-01T00:00:00.000Z</LastModified>"
    '<ETag>"x"</ETag><Size>1</Size>'
)


class Odd:
    """A server on the loopback address that gives every request the same answer."""

    def __init__(self, status: int, body: str, **headers: str) -> None:
        self.asked: list[str] = []
        odd = self
        date = headers.pop("Date", None)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                odd.asked.append(f"{self.command} {self.path}")
                content = body.encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value.format(self.path))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def date_time_string(self, timestamp: float | None = None) -> str:
                return date or super().date_time_string(timestamp)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def serving(odd: Odd) -> Iterator[Odd]:
    thread = threading.Thread(target=odd.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield odd
    finally:
        odd.server.shutdown()
        odd.server.server_close()
        thread.join()


ODD: Final[dict[str, tuple[int, str, dict[str, str]]]] = {
    "redirect loop": (302, "", {"Location": "{}"}),
    "permanent redirect loop": (301, "", {"Location": "{}", "x_amz_bucket_region": "eu-west-1"}),
    "temporary redirect loop": (307, "", {"Location": "{}", "x_amz_bucket_region": "us-east-2"}),
    "html": (200, HTML, {"Content_Type": "text/html"}),
    "xhtml": (200, XHTML, {"Content_Type": "text/html"}),
    "json": (200, '{"ok": true}', {"Content_Type": "application/json"}),
    "nothing": (200, "", {}),
    "listing of nothing known": (200, LISTED.format("<Size>1</Size>"), {}),
    "listing without etag": (200, LISTED.format(f"<Key>{NAME}</Key><Size>1</Size>"), {}),
    "listing of an odd date": (200, LISTED.format("<LastModified>soon</LastModified>"), {}),
    "error page": (404, HTML, {"Content_Type": "text/html"}),
    "error in json": (500, '{"error": "no"}', {"Content_Type": "application/json"}),
    "deep xml": (200, "<a>" * 20_000 + "</a>" * 20_000, {}),
}


@pytest.fixture(params=ODD)
def odd(request: pytest.FixtureRequest) -> Iterator[Odd]:
    status, body, headers = ODD[request.param]
    with serving(Odd(status, body, **headers)) as server:
        yield server


def settings_for(endpoint: str) -> S3Settings:
    return S3Settings(
        bucket="backups",
        access_key="key",
        secret_key="hidden-secret",  # noqa: S106 - of nothing
        endpoint=endpoint,
        force_path_style=True,
        prefix="streamhub-backups",
    )


def test_every_call_ends_with_an_error_that_names_the_endpoint(odd: Odd, tmp_path: Path) -> None:
    """Within a few requests; nothing else of the tree, and nothing outside of it."""
    (tmp_path / "source").write_bytes(b"x")
    with open_s3_store(settings_for(odd.endpoint)) as store:
        for call in (
            lambda: store.head(NAME),
            lambda: list(store.iter_objects()),
            lambda: store.put(tmp_path / "source", NAME),
            lambda: store.put(tmp_path / "source", NAME, no_clobber=True),
            lambda: store.get(NAME, tmp_path / "target"),
        ):
            with pytest.raises(StorageError) as caught:
                call()
            assert odd.endpoint in str(caught.value)
            assert "hidden-secret" not in str(caught.value)
        assert set(store.delete_many([NAME])) == {NAME}
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    "odd", ["permanent redirect loop", "xhtml", "json", "listing without etag"], indirect=True
)
def test_commands_end_in_words(odd: Odd, tmp_path: Path) -> None:
    """List, verify and prune name the endpoint; none asks for a report."""
    data_dir = init(tmp_path / "installation").root
    environment = {
        "BACKUP_S3_BUCKET": "backups",
        "BACKUP_S3_ENDPOINT": odd.endpoint,
        "BACKUP_S3_ACCESS_KEY_ID": "key",
        "BACKUP_S3_SECRET_ACCESS_KEY": "hidden-secret",
    }
    for command in (("list",), ("verify", "--from", "s3"), ("prune", "--place", "s3")):
        done = run_command(
            "--data-dir", data_dir, "--json", "backup", *command, environment=environment
        )
        assert done.status in {1, 3}, done
        assert done.report["ok"] is False
        assert odd.endpoint in done.stderr, done
        assert "report it" not in done.stderr, done


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_to_another_host_is_not_followed(status: int, tmp_path: Path) -> None:
    """The other host is never asked, and the message names it."""
    (tmp_path / "source").write_bytes(b"x")
    with serving(Odd(200, LISTED.format(WHOLE), ETag='"x"')) as other:
        location = other.endpoint + "{}"
        headers = {"Location": location, "x_amz_bucket_region": "eu-west-1"}
        with (
            serving(Odd(status, "", **headers)) as first,
            open_s3_store(settings_for(first.endpoint)) as store,
        ):
            for call in (
                lambda: list(store.iter_objects()),
                lambda: store.put(tmp_path / "source", NAME),
                lambda: store.head(NAME),
            ):
                with pytest.raises(StoreFaultError, match="not followed") as caught:
                    call()
                assert other.endpoint in str(caught.value)
                assert first.endpoint in str(caught.value)
        assert other.asked == []


@pytest.mark.parametrize("body", [ELSEWHERE, XHTML, "<DeleteResult/>"])
def test_deletion_that_is_not_confirmed_is_not_reported_as_done(body: str) -> None:
    """Only a key that the answer names is gone."""
    with serving(Odd(200, body)) as odd, open_s3_store(settings_for(odd.endpoint)) as store:
        assert set(store.delete_many(["a", "b"])) == {"a", "b"}


def test_endpoint_that_botocore_calls_invalid_is_named() -> None:
    """A host name with an underscore, as Docker Compose gives them."""
    with pytest.raises(StoreFaultError, match="http://my_minio:9000"):
        open_s3_store(settings_for("http://my_minio:9000"))


SKEWED: Final = "<Error><Code>RequestTimeTooSkewed</Code></Error>"
DENIED: Final = "<Error><Code>AccessDenied</Code></Error>"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (SKEWED, {}),
        ("<Error><Code>AccessDenied</Code></Error>", {"Date": "Mon, 02 Jan 2006 03:04:05 GMT"}),
    ],
    ids=["said", "by the date of the answer"],
)
def test_clock_skew_is_called_clock_skew(
    body: str, headers: dict[str, str], tmp_path: Path
) -> None:
    """A HEAD request has no body to say it in; the date of the answer tells."""
    (tmp_path / "source").write_bytes(b"x")
    with (
        serving(Odd(403, body, **headers)) as odd,
        open_s3_store(settings_for(odd.endpoint)) as store,
    ):
        calls: list[Callable[[], object]] = [
            lambda: list(store.iter_objects()),
            lambda: store.put(tmp_path / "source", NAME),
            *([lambda: store.head(NAME)] if headers else []),
        ]
        for call in calls:
            with pytest.raises(ClockSkewError, match="clock skew"):
                call()
        assert "clock skew" in str(store.delete_many([NAME])[NAME])


@pytest.mark.parametrize("region", ["us east", "-", "r" * 300])
def test_region_that_botocore_refuses_is_named(region: str, tmp_path: Path) -> None:
    data_dir = init(tmp_path / "installation").root
    environment = {
        "BACKUP_S3_BUCKET": "backups",
        "BACKUP_S3_REGION": region,
        "BACKUP_S3_ACCESS_KEY_ID": "key",
        "BACKUP_S3_SECRET_ACCESS_KEY": "hidden-secret",
    }
    done = run_command("--data-dir", data_dir, "--json", "backup", "list", environment=environment)
    assert done.status == 1, done
    assert "no client" in done.report["error"]
    assert "hidden-secret" not in done.stdout + done.stderr


def test_backups_of_the_folder_are_listed_where_the_bucket_fails(tmp_path: Path) -> None:
    data_dir = init(tmp_path / "installation").root
    assert run_command("--data-dir", data_dir, "backup", "create").status == 0
    with serving(Odd(500, "{}")) as odd:
        environment = {
            "BACKUP_S3_BUCKET": "backups",
            "BACKUP_S3_ENDPOINT": odd.endpoint,
            "BACKUP_S3_ACCESS_KEY_ID": "key",
            "BACKUP_S3_SECRET_ACCESS_KEY": "hidden-secret",
        }
        done = run_command(
            "--data-dir", data_dir, "--json", "backup", "list", environment=environment
        )
    assert done.status == 1, done
    assert [it["place"] for it in done.report["backups"]] == ["local"]
    assert odd.endpoint in done.report["error"]


def test_clock_skew_ends_a_purge_and_a_deletion_at_the_first_request(tmp_path: Path) -> None:
    """Every other key would meet it."""
    data_dir = init(tmp_path / "installation").root
    with Databases(data_dir) as databases, databases.app_session("live") as session:
        for number in range(BATCH + 1):
            vods.create(session, name="v", file_key=f"{number}.mp4", s3_url="s3://of-nobody")
    with (
        serving(Odd(403, SKEWED)) as odd,
        open_s3_store(settings_for(odd.endpoint)) as store,
    ):
        assert len(store.delete_many(map(str, range(1001)))) == 1001
        assert len(odd.asked) == 1
        purged = purge(data_dir, "live", Scope.VODS, store=store)
    assert "clock skew" in str(purged.error)
    assert "were not tried" in str(purged.error)
    assert purged.kept == BATCH
