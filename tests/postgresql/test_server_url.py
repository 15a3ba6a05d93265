"""URL of a control plane: what is taken, and that its password is seen nowhere."""

from __future__ import annotations

import pytest

from streamhub_orm.errors import GlobalUrlError
from streamhub_orm.server_url import URL_VARIABLE, ServerUrl

SECRET = "hunter2"  # noqa: S105 - made up


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql+psycopg://ann:hunter2@db:5433/streamhub", "postgresql://db:5433/streamhub"),
        ("postgresql://ann@db/streamhub", "postgresql://db/streamhub"),
        ("postgresql+psycopg:///streamhub?host=/run/pg", "postgresql:///run/pg/streamhub"),
        ("postgresql+psycopg://ann:hunter2@[::1]/x?sslpassword=hunter2", "postgresql://::1/x"),
    ],
)
def test_url_is_shown_as_server_and_database_alone(text: str, shown: str) -> None:
    url = ServerUrl.parse(text, "x")
    assert str(url) == shown
    assert SECRET not in f"{url!r} {url}"


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "sqlite:///x.db", "mysql://ann:hunter2@db/x", "postgresql+asyncpg://a@b/c"],
)
def test_other_urls_are_refused_unshown(text: str) -> None:
    with pytest.raises(GlobalUrlError) as caught:
        ServerUrl.parse(text, "global_url")
    assert SECRET not in str(caught.value)
    assert str(caught.value).startswith("global_url: ")


@pytest.mark.parametrize("query", ["", "?password=hunter2", "?sslpassword=hunter2"])
def test_argument_with_a_password_is_refused(query: str) -> None:
    user = "ann" if query else "ann:hunter2"
    text = f"postgresql+psycopg://{user}@db/x{query}"
    with pytest.raises(GlobalUrlError, match="a URL with a password in it") as caught:
        ServerUrl.parse(text, "--global-url", is_argument=True)
    assert SECRET not in str(caught.value)


def test_environment_names_it_or_does_not() -> None:
    assert ServerUrl.load({}) is None
    assert ServerUrl.load({URL_VARIABLE: " "}) is None
    found = ServerUrl.load({URL_VARIABLE: "postgresql://ann:hunter2@db/x"})
    assert found is not None
    assert found.url.password == SECRET
    assert found.url.drivername == "postgresql+psycopg"
