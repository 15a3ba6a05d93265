"""Settings of access: who is let in by address, who is banned, whose link is the operator's."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from streamhub_orm.errors import EnvironmentSettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ON: Final = frozenset({"1", "true", "on", "yes"})
_OFF: Final = frozenset({"", "0", "false", "off", "no"})
_MODE: Final = "STREAMHUB_IP_ACCESS_MODE"


class AccessMode(StrEnum):
    """Force of the rules about addresses."""

    OFF = "off"
    LOG = "log"
    """Who would be refused is let in and told of."""
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Settings of access, with the core's defaults."""

    mode: AccessMode = AccessMode.OFF
    """STREAMHUB_IP_ACCESS_MODE: whether block rules and the allow-list refuse anybody."""
    allowlist_only: bool = False
    """STREAMHUB_IP_ALLOWLIST_ONLY: who is in no allow rule is refused, unless private."""
    autoban: bool = False
    """STREAMHUB_AUTOBAN_ENABLED: offences are counted, and bans hold."""
    offences: int = 10
    """So many within the window are a ban; this and the next three are no variables."""
    window: timedelta = timedelta(seconds=300)
    first_ban: timedelta = timedelta(seconds=900)
    """The time of a first ban; each further one is twice as long."""
    counts_not_found: bool = False
    """A page that does not exist is an offence too."""
    strict_ingress: bool = False
    """STREAMHUB_INGRESS_STRICT: an ingress that is not registered may not publish."""
    superadmin_email: str | None = None
    """STREAMHUB_SUPERADMIN_EMAIL: the mailbox whose magic links sign the superadmin in."""

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> AccessSettings:
        """Read the variables; an empty one counts as unset.

        Raises `EnvironmentSettingError` for an invalid word.
        """
        found = os.environ if environment is None else environment
        return cls(
            mode=_mode(found),
            allowlist_only=_flag(found, "STREAMHUB_IP_ALLOWLIST_ONLY"),
            autoban=_flag(found, "STREAMHUB_AUTOBAN_ENABLED"),
            strict_ingress=_flag(found, "STREAMHUB_INGRESS_STRICT"),
            superadmin_email=_word(found, "STREAMHUB_SUPERADMIN_EMAIL") or None,
        )


def _word(environment: Mapping[str, str], name: str) -> str:
    return (environment.get(name) or "").strip().lower()


def _mode(environment: Mapping[str, str]) -> AccessMode:
    word = _word(environment, _MODE) or AccessMode.OFF
    if word not in {*AccessMode}:
        raise EnvironmentSettingError(_MODE, repr(word), ", ".join(AccessMode))
    return AccessMode(word)


def _flag(environment: Mapping[str, str], name: str) -> bool:
    word = _word(environment, name)
    if word not in _ON | _OFF:
        raise EnvironmentSettingError(name, repr(word), "true or false")
    return word in _ON
