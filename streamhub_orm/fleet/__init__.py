"""Reads over all apps of the server or of a tenant, without engines and without changing a file."""

from streamhub_orm.fleet.reading import Reading, read_apps
from streamhub_orm.fleet.readings import (
    FileFacts,
    Pages,
    VodTotal,
    VodTotals,
    count_active_streams,
    file_facts,
    read_pages,
    vod_totals,
)
from streamhub_orm.fleet.walking import Outcome, attempt, walk
from streamhub_orm.registry import list_app_names, list_app_names_of_tenant

__all__ = [
    "FileFacts",
    "Outcome",
    "Pages",
    "Reading",
    "VodTotal",
    "VodTotals",
    "attempt",
    "count_active_streams",
    "file_facts",
    "list_app_names",
    "list_app_names_of_tenant",
    "read_apps",
    "read_pages",
    "vod_totals",
    "walk",
]
