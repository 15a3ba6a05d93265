"""S3 settings of an app: section `s3` of its config.yaml, with the access keys it refers to."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

from streamhub_orm.settings.app_config import kind_of
from streamhub_orm.settings.core_settings import DEFAULT_ENDPOINT, DEFAULT_REGION, slug_of
from streamhub_orm.settings.secrets import shown_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamhub_orm.settings.app_config import AppConfig
    from streamhub_orm.settings.secrets import Secrets

_LISTED_NAMES: Final = "STREAMHUB_SECRET_NAMES"
"""Variable with further names, by commas, that config.yaml may refer to; `*` stands for all."""

PLAIN_URL: Final = "http://… or https://…, without a password or a query in it"


def is_plain_url(value: str) -> bool:
    """Tell whether a text is a URL of a service, and holds nothing that an error must not show."""
    try:
        parts = urlsplit(value)
        named = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False
    return named and not {"@", "%"}.intersection(parts.netloc) and not parts.query + parts.fragment


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """Settings that a client of the bucket needs; the repr hides the access keys."""

    bucket: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    region: str = DEFAULT_REGION
    endpoint: str | None = None
    """URL of the service; None for Amazon's own."""
    force_path_style: bool = False
    """True where the bucket stands in the path of a URL instead of in its host name."""
    prefix: str = ""
    """Beginning of the object keys; no slash at either end."""
    public_url: str | None = None
    """Base of the URLs under which everybody can read the objects; None for the endpoint's."""


def s3_settings_of(
    config: AppConfig, app: str, secrets: Secrets, environment: Mapping[str, str] | None = None
) -> S3Settings | None:
    """Return the S3 settings of an app; None where its config.yaml names no bucket.

    A key that the section `s3` lacks has the Node core's default. `access_key_env` and
    `secret_key_env` are names, looked up in the environment (by default this process's) first and
    in secrets.json then, as the core does. Unlike the core, only names that begin with the app's
    own `APP_<SLUG>_` are looked up, and those that `STREAMHUB_SECRET_NAMES` lists: whoever may
    write config.yaml names the endpoint, too, to which the keys are shown. Raises
    `ConfigFileError` with the line, or `MissingSecretError`.
    """
    section = _Section(config, config.section("s3"))
    bucket = section.text("bucket")
    if not bucket:
        return None
    variables = os.environ if environment is None else environment
    allowed = f"APP_{slug_of(app)}_"
    access_key = section.secret_name("access_key_env", f"{allowed}S3_KEY", allowed, variables)
    secret_key = section.secret_name("secret_key_env", f"{allowed}S3_SECRET", allowed, variables)
    return S3Settings(
        bucket=bucket,
        access_key=secrets.resolve(access_key, variables),
        secret_key=secrets.resolve(secret_key, variables),
        region=section.text("region") or DEFAULT_REGION,
        endpoint=section.url("endpoint", DEFAULT_ENDPOINT),
        force_path_style=section.flag("force_path_style"),
        prefix=section.text("prefix", f"streamhub/{app}").strip("/"),
        public_url=section.url("public_url"),
    )


@dataclass(frozen=True)
class _Section:
    """Reader of single values; each fault names the line."""

    config: AppConfig
    values: dict[Any, Any]

    def text(self, key: str, default: str = "") -> str:
        """Return a text; a key that stands in the file without a value has none."""
        value = self.values.get(key, default)
        if value is None:
            return ""
        if not isinstance(value, str):
            self._refuse(key, kind_of(value), "a text")
        return value

    def flag(self, key: str) -> bool:
        value = self.values.get(key)
        if value is None:
            return False
        if not isinstance(value, bool):
            self._refuse(key, kind_of(value), "true or false")
        return value

    def url(self, key: str, default: str = "") -> str | None:
        value = self.text(key, default).rstrip("/")
        if not value:
            return None
        if not is_plain_url(value):
            self._refuse(key, "no such URL", PLAIN_URL)
        return value

    def secret_name(
        self, key: str, default: str, allowed: str, environment: Mapping[str, str]
    ) -> str:
        name = self.text(key, default)
        listed = {each.strip() for each in environment.get(_LISTED_NAMES, "").split(",")}
        if not name:
            self._refuse(key, "nothing", "the name of a secret")
        if not name.startswith(allowed) and not {name, "*"} & listed:
            expected = f"a name that begins with {allowed}, or one that {_LISTED_NAMES} lists"
            self._refuse(key, shown_name(name), expected)
        return name

    def _refuse(self, key: str, found: str, expected: str) -> NoReturn:
        found = f"{found} as s3.{key}"
        raise self.config.fault(found, expected, "s3", key)
