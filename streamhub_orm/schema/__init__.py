"""Column types, ranges of time and naming that both databases share."""

from streamhub_orm.schema.json_text import (
    JsonText,
    json_from_text,
    json_to_text,
    tracked_json,
)
from streamhub_orm.schema.tables import NAMING_CONVENTION, SQL_NOW, ModelBase
from streamhub_orm.schema.time_ranges import TimeRange, comparable
from streamhub_orm.schema.types import (
    EnumText,
    IntBool,
    UtcIso,
    UtcSql,
    is_storable,
    member_of,
    one_of,
    utc_from_text,
    utc_now,
)

__all__ = [
    "NAMING_CONVENTION",
    "SQL_NOW",
    "EnumText",
    "IntBool",
    "JsonText",
    "ModelBase",
    "TimeRange",
    "UtcIso",
    "UtcSql",
    "comparable",
    "is_storable",
    "json_from_text",
    "json_to_text",
    "member_of",
    "one_of",
    "tracked_json",
    "utc_from_text",
    "utc_now",
]
