"""Column types, ranges of time and naming that both databases share."""

from streamhub_orm.schema.expressions import (
    AsStored,
    ComparableTime,
    as_stored,
    beyond_ascii,
    column_names,
    comparable,
    json_member,
    utf8,
    without_case,
)
from streamhub_orm.schema.json_text import (
    JsonText,
    json_from_text,
    json_to_text,
    tracked_json,
)
from streamhub_orm.schema.tables import FALSE, NAMING_CONVENTION, SQL_NOW, ModelBase
from streamhub_orm.schema.time_ranges import TimeRange
from streamhub_orm.schema.types import (
    POSTGRESQL,
    TEXT,
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
    "FALSE",
    "NAMING_CONVENTION",
    "POSTGRESQL",
    "SQL_NOW",
    "TEXT",
    "AsStored",
    "ComparableTime",
    "EnumText",
    "IntBool",
    "JsonText",
    "ModelBase",
    "TimeRange",
    "UtcIso",
    "UtcSql",
    "as_stored",
    "beyond_ascii",
    "column_names",
    "comparable",
    "is_storable",
    "json_from_text",
    "json_member",
    "json_to_text",
    "member_of",
    "one_of",
    "tracked_json",
    "utc_from_text",
    "utc_now",
    "utf8",
    "without_case",
]
