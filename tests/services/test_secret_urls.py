"""What is shown of a URL with a secret in it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamhub_orm.services.secret_urls import mask_url, without_secrets

KEY = "SECRETKEY1"


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        (f"rtmp://a.rtmp.youtube.com/live2/{KEY}", "rtmp://a.rtmp.youtube.com/***"),
        (f"rtmps://live.example.com:443/rtmp/{KEY}?s=1", "rtmps://live.example.com:443/***"),
        (f"rtmp://live.example.com/{KEY}", "rtmp://live.example.com/***"),
        (f"rtmp://user:{KEY}@live.example.com/app", "rtmp://live.example.com/***"),
        (f"rtmp://{KEY}@live.example.com", "rtmp://live.example.com/***"),
        (f"srt://live.example.com:9000?streamid={KEY}", "srt://live.example.com:9000/***"),
        (f"rtmp://[2001:db8::1]:1935/app#{KEY}", "rtmp://[2001:db8::1]:1935/***"),
        ("rtmp://live.example.com", "rtmp://live.example.com"),
        ("rtmp://live.example.com/", "rtmp://live.example.com"),
        (KEY, "***"),
        (f"live.example.com/{KEY}", "***"),
        (f"rtmp:///{KEY}", "***"),
        (f"rtmp://user:pa/{KEY}@live.example.com/app", "***"),
        (f"rtmp://live.example.com\\{KEY}", "***"),
        (f"rtmp://live.example.com:{KEY}/app", "***"),
        (f" rtmp://live.example.com/{KEY}", "***"),
        ("", "***"),
    ],
)
def test_mask_shows_scheme_and_host_at_most(url: str, masked: str) -> None:
    assert mask_url(url) == masked
    assert KEY not in masked


@settings(deadline=None)
@given(
    st.sampled_from(["rtmp://host/{}", "rtmp://{}@host/x", "srt://host:1?{}", "{}", "//{}"]),
    st.text(),
)
def test_mask_holds_nothing_of_what_follows_the_host(form: str, secret: str) -> None:
    assert KEY not in mask_url(form.format(secret + KEY))
    assert KEY not in mask_url(form.format(KEY + "/" + secret))


URL = f"rtmp://user:pass%40word@live.example.com:1935/app/{KEY}?token=abcdef123"


@pytest.mark.parametrize(
    "message",
    [
        f"cannot open {URL}: refused",
        f"publish of {KEY} was refused",
        f"live.example.com: /app/{KEY} is taken",
        "401 for pass@word",
        "bad token abcdef123",
    ],
)
def test_secrets_are_hidden_in_a_message(message: str) -> None:
    found = without_secrets(message, URL)
    assert not any(secret in found for secret in (KEY, "pass%40word", "pass@word", "abcdef123"))
    assert "***" in found


def test_what_is_no_secret_stays_readable() -> None:
    message = "app on live.example.com:1935 closed the connection"
    assert without_secrets(message, URL) == message
