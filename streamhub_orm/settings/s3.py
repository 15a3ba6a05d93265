"""S3 settings of an app: section `s3` of its config.yaml, with the access keys it refers to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

from streamhub_orm.settings.app_config import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamhub_orm.settings.app_config import AppConfig
    from streamhub_orm.settings.secrets import Secrets

_DEFAULT_REGION: Final = "us-east-1"


class Provider(StrEnum):
    """Vendor of the S3 service."""

    AWS = "aws"
    WASABI = "wasabi"
    MINIO = "minio"


PLAIN_URL: Final = "http://… or https://…, without a password in it"


def is_plain_url(value: str) -> bool:
    """Tell whether a text is a URL of a service, and holds nothing that an error must not show."""
    try:
        parts = urlsplit(value)
        named = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False
    return named and "@" not in parts.netloc


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """Settings that a client of the bucket needs; the repr hides the access keys."""

    bucket: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    provider: Provider = Provider.AWS
    region: str = _DEFAULT_REGION
    endpoint: str | None = None
    """URL of the service; None for the provider's own."""
    force_path_style: bool = False
    """True where the bucket stands in the path of a URL instead of in its host name."""
    prefix: str = ""
    """Beginning of the object keys; no slash at either end."""
    public_url: str | None = None
    """Base of the URLs under which everybody can read the objects; None for the endpoint's."""


def s3_settings_of(
    config: AppConfig, secrets: Secrets, environment: Mapping[str, str] | None = None
) -> S3Settings | None:
    """Return the S3 settings of an app; None where its config.yaml has no section `s3`.

    `access_key_env` and `secret_key_env` are names, looked up in secrets.json first and in the
    environment (by default this process's) then. Raises `ConfigFileError` with the line, or
    `MissingSecretError`.
    """
    if config.document.get("s3") is None:
        return None
    section = _Section(config, config.section("s3"))
    provider = section.provider()
    region = section.text("region") or _DEFAULT_REGION
    return S3Settings(
        bucket=section.required("bucket"),
        access_key=secrets.resolve(section.required("access_key_env"), environment),
        secret_key=secrets.resolve(section.required("secret_key_env"), environment),
        provider=provider,
        region=region,
        endpoint=section.endpoint(provider, region),
        force_path_style=section.flag("force_path_style", default=provider is Provider.MINIO),
        prefix=section.text("prefix").strip("/"),
        public_url=section.url("public_url"),
    )


@dataclass(frozen=True)
class _Section:
    """Reader of single values; each fault names the line."""

    config: AppConfig
    values: dict[Any, Any]

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            self._refuse(key, kind_of(value), "a text")
        return value

    def required(self, key: str) -> str:
        value = self.text(key)
        if not value:
            self._refuse(key, "nothing", "a text")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self._refuse(key, kind_of(value), "true or false")
        return value

    def url(self, key: str) -> str | None:
        value = self.text(key).rstrip("/")
        if not value:
            return None
        if not is_plain_url(value):
            self._refuse(key, "no such URL", PLAIN_URL)
        return value

    def provider(self) -> Provider:
        value = self.text("provider") or Provider.AWS
        if value not in Provider.__members__.values():
            self._refuse("provider", repr(value), f"one of {', '.join(Provider)}")
        return Provider(value)

    def endpoint(self, provider: Provider, region: str) -> str | None:
        endpoint = self.url("endpoint")
        if endpoint is None and provider is Provider.MINIO:
            self._refuse("endpoint", "nothing", "the URL of the MinIO server")
        if endpoint is None and provider is Provider.WASABI:
            return f"https://s3.{region}.wasabisys.com"
        return endpoint

    def _refuse(self, key: str, found: str, expected: str) -> NoReturn:
        found = f"{found} as s3.{key}"
        raise self.config.fault(found, expected, "s3", key)
