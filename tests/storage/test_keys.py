"""The rule of the prefix, and the URLs of objects: vectors."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from streamhub_orm.settings import S3Settings
from streamhub_orm.storage import object_key, object_url, open_s3_store

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.storage.s3 import S3Store


def settings(**given: Any) -> S3Settings:  # noqa: ANN401 - any of the fields
    return S3Settings(bucket="rec", access_key="AK", secret_key="made-up-secret", **given)  # noqa: S106


@pytest.mark.parametrize(
    ("prefix", "key", "expected"),
    [
        ("", "a.mp4", "a.mp4"),
        ("live", "a.mp4", "live/a.mp4"),
        ("live", "room/a.mp4", "live/room/a.mp4"),
        ("live", "live/a.mp4", "live/a.mp4"),
        ("live", "live", "live"),
        ("live", "x/live/a.mp4", "live/x/live/a.mp4"),
        ("a/b", "a/b/c", "a/b/c"),
        ("a/b", "a/c", "a/b/a/c"),
        ("live", "live-2/a.mp4", "live/live-2/a.mp4"),
        ("live", "/live/a.mp4", "live/a.mp4"),
        ("", "//a.mp4", "a.mp4"),
    ],
)
def test_object_key_has_the_prefix_once(prefix: str, key: str, expected: str) -> None:
    assert object_key(prefix, key) == expected
    assert object_key(prefix, expected) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"region": "eu-central-1"}, "https://rec.s3.eu-central-1.amazonaws.com/a/b.mp4"),
        (
            {"region": "eu-central-1", "force_path_style": True},
            "https://s3.eu-central-1.amazonaws.com/rec/a/b.mp4",
        ),
        (
            {"endpoint": "https://s3.eu-west-1.wasabisys.com"},
            "https://rec.s3.eu-west-1.wasabisys.com/a/b.mp4",
        ),
        (
            {"endpoint": "http://minio.example:9000", "force_path_style": True},
            "http://minio.example:9000/rec/a/b.mp4",
        ),
        ({"public_url": "https://cdn.example/media"}, "https://cdn.example/media/a/b.mp4"),
    ],
)
def test_public_url_is_below_public_url_or_in_the_style_of_the_endpoint(
    given: dict[str, Any], expected: str
) -> None:
    assert object_url(settings(**given), "a/b.mp4") == expected


def test_public_url_escapes_what_a_url_cannot_hold() -> None:
    found = object_url(settings(public_url="https://cdn.example"), "ü ñ/a+b%&?#=~.mp4")
    assert found == "https://cdn.example/%C3%BC%20%C3%B1/a%2Bb%25%26%3F%23%3D~.mp4"


def test_public_url_of_a_store_has_the_prefix() -> None:
    with open_s3_store(settings(prefix="live", public_url="https://cdn.example")) as store:
        assert store.public_url("a.mp4") == "https://cdn.example/live/a.mp4"
        assert store.public_url("live/a.mp4") == "https://cdn.example/live/a.mp4"


def test_presigned_url_is_signed_for_its_time_and_its_endpoint() -> None:
    """Version 4 of the signature, which every region takes; the secret key is not in it."""
    endpoint = "https://s3.eu-west-1.wasabisys.com"
    with open_s3_store(settings(region="eu-west-1", endpoint=endpoint, prefix="live")) as store:
        text = store.presigned_url("a b.mp4", seconds=60)
    url = urlsplit(text)
    query = parse_qs(url.query)
    assert (url.netloc, url.path) == ("rec.s3.eu-west-1.wasabisys.com", "/live/a%20b.mp4")
    assert query["X-Amz-Expires"] == ["60"]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert "made-up-secret" not in text


def test_presigned_url_gives_the_object_to_anybody_and_the_plain_one_does_not(
    s3_store: S3Store, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"a recording")
    s3_store.put(tmp_path / "a", "rec/ü b.mp4")
    signed = s3_store.presigned_url("rec/ü b.mp4")
    with urllib.request.urlopen(signed, timeout=5) as answer:  # noqa: S310
        assert answer.read() == b"a recording"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(s3_store.public_url("rec/ü b.mp4"), timeout=5)  # noqa: S310
    caught.value.close()
    assert caught.value.code == 403


def test_prefix_of_an_s3_store_hides_its_neighbours(s3_store: S3Store, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a recording")
    s3_store.put(tmp_path / "a", "live-2/b")
    s3_store.prefix = "live"
    assert s3_store.put(tmp_path / "a", "a").key == "live/a"
    assert [it.key for it in s3_store.iter_objects()] == ["live/a"]
    assert s3_store.delete_many(["a"]) == {}
    assert list(s3_store.iter_objects()) == []
