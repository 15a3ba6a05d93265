"""Limits: what the row says, the free plan's where there is none, -1 for no limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import UnknownTenantError
from streamhub_orm.services.limits import (
    FIND_LIMITS,
    FREE,
    Limits,
    Metric,
    get_limits,
    set_limits,
)
from tests.services.plans import plan_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm import Databases


def test_tenant_without_a_row_has_the_limits_of_the_free_plan(acme: Databases) -> None:
    with acme.global_session(read_only=True) as session:
        assert get_limits(session, "acme") == FREE
    assert [FREE.of(metric) for metric in Metric] == [2, 2, 300, 5, 5]


def test_limits_are_those_of_the_row(acme: Databases) -> None:
    with acme.global_session() as session:
        session.execute(sa.text("INSERT INTO quotas (tenant_id, max_apps) VALUES ('acme', -1)"))
        limits = get_limits(session, "acme")
    assert [limits.of(metric) for metric in Metric] == [None, 2, 300, 5, 5]


def test_minus_one_alone_is_unlimited() -> None:
    assert Limits(max_apps=-1).of(Metric.APPS) is None
    assert Limits(max_apps=-2).of(Metric.APPS) == -2
    assert Limits(max_apps=0).of(Metric.APPS) == 0


def test_limits_are_written_and_written_over(acme: Databases) -> None:
    with acme.global_session() as session:
        for limits in (Limits(1, 2, 3, 4, 5), Limits(6, 7, 8, 9, -1)):
            set_limits(session, "acme", limits)
            assert get_limits(session, "acme") == limits
        with pytest.raises(UnknownTenantError):
            set_limits(session, "nope", FREE)


def test_limits_are_searched_by_the_primary_key(global_session: Session) -> None:
    plan = plan_of(global_session, FIND_LIMITS.statement, {"tenant": "platform"})
    assert plan == "SEARCH quotas USING INDEX sqlite_autoindex_quotas_1 (tenant_id=?)"
