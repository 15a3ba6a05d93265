"""Settings of access: the core's variables and defaults, and invalid ones in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from streamhub_orm.errors import EnvironmentSettingError
from streamhub_orm.settings import AccessMode, AccessSettings


def test_nothing_set_is_the_cores_default() -> None:
    """Reference, Access: mode off, autoban off, 10 offenses in 300 s, 900 s for a first ban."""
    assert AccessSettings.load({}) == AccessSettings()
    found = AccessSettings.load({})
    assert (found.mode, found.allowlist_only, found.autoban) == (AccessMode.OFF, False, False)
    assert (found.offences, found.counts_not_found) == (10, False)
    assert (found.window, found.first_ban) == (timedelta(seconds=300), timedelta(seconds=900))
    assert found.superadmin_email is None


def test_each_variable_is_read() -> None:
    found = AccessSettings.load(
        {
            "STREAMHUB_IP_ACCESS_MODE": " Enforce ",
            "STREAMHUB_IP_ALLOWLIST_ONLY": "TRUE",
            "STREAMHUB_AUTOBAN_ENABLED": "1",
            "STREAMHUB_INGRESS_STRICT": "on",
            "STREAMHUB_SUPERADMIN_EMAIL": " Ops@Example.org ",
        }
    )
    assert found == AccessSettings(
        mode=AccessMode.ENFORCE,
        allowlist_only=True,
        autoban=True,
        strict_ingress=True,
        superadmin_email="ops@example.org",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STREAMHUB_IP_ACCESS_MODE", "enfroce"),
        ("STREAMHUB_IP_ALLOWLIST_ONLY", "maybe"),
        ("STREAMHUB_AUTOBAN_ENABLED", "2"),
    ],
)
def test_invalid_value_is_an_error_that_names_the_variable(name: str, value: str) -> None:
    """Protection that was asked for must not be off unnoticed."""
    with pytest.raises(EnvironmentSettingError) as caught:
        AccessSettings.load({name: value})
    assert caught.value.name == name
