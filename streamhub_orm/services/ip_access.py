"""Decision whether a request is let in, by the address that it comes from.

It takes the operator's rules (`ip_rules`), the bans (`ip_bans`) and the settings together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from streamhub_orm.global_db import IpAction
from streamhub_orm.schema import utc_now
from streamhub_orm.services import ip_bans, ip_rules
from streamhub_orm.services.addresses import is_private, parse_address
from streamhub_orm.settings import AccessMode

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from streamhub_orm.services.ip_rules import IpRules
    from streamhub_orm.settings import AccessSettings

__all__ = ["Decision", "Reason", "Verdict", "decide"]


class Verdict(StrEnum):
    """Judgement of a request."""

    PASSES = "passes"
    BANNED = "banned"
    BLOCKED = "blocked"
    WOULD_BE_BLOCKED = "would-be-blocked"
    """It passes, since rules are only logged; in the mode enforce it would not."""


_STATUS: Final = {Verdict.BANNED: 429, Verdict.BLOCKED: 403}


class Reason(StrEnum):
    """The reason of a verdict, for the log: a client is not told which rule or ban it was."""

    PRIVATE = "private"
    ALLOW_RULE = "allow-rule"
    BAN = "ban"
    BLOCK_RULE = "block-rule"
    ALLOWLIST_ONLY = "allowlist-only"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about an address, with its reason."""

    verdict: Verdict
    reason: Reason
    cidr: str | None = None
    """The rule that decided, as it is stored."""
    banned_until: datetime | None = None

    @property
    def allowed(self) -> bool:
        """Tell whether the address is let in."""
        return self.status is None

    @property
    def status(self) -> int | None:
        """The HTTP status that refuses the request: 429 or 403; None where it passes."""
        return _STATUS.get(self.verdict)


def decide(
    session: Session,
    ip: str,
    settings: AccessSettings,
    *,
    rules: IpRules | None = None,
    now: datetime | None = None,
) -> Decision:
    """Decide about an address as the Node core does: what comes first in this order.

    A private address passes, whatever rule or ban there is; one of an allow rule passes; a banned
    one is refused, where `settings.autoban` is on; one of a block rule, or of no rule under
    `settings.allowlist_only`, is refused in the mode enforce, and named in the mode log. `rules`
    saves reading them each time. Raises `AddressError` for a text that is no address.
    """
    address = parse_address(ip)
    if is_private(address):
        return Decision(Verdict.PASSES, Reason.PRIVATE)
    if settings.mode is AccessMode.OFF and not settings.autoban:
        return Decision(Verdict.PASSES, Reason.NOTHING)
    action, cidr = (rules or ip_rules.load(session)).find(address) or (None, None)
    if action is IpAction.ALLOW:
        return Decision(Verdict.PASSES, Reason.ALLOW_RULE, cidr)
    until = ip_bans.find_end(session, address) if settings.autoban else None
    if until is not None and until > (now or utc_now()):
        return Decision(Verdict.BANNED, Reason.BAN, banned_until=until)
    if settings.mode is AccessMode.OFF or not (action or settings.allowlist_only):
        return Decision(Verdict.PASSES, Reason.NOTHING)
    is_enforced = settings.mode is AccessMode.ENFORCE
    verdict = Verdict.BLOCKED if is_enforced else Verdict.WOULD_BE_BLOCKED
    return Decision(verdict, Reason.BLOCK_RULE if action else Reason.ALLOWLIST_ONLY, cidr)
