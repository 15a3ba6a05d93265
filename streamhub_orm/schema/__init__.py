"""What both databases share: the naming convention, the column types and how a row shows itself."""

from streamhub_orm.schema.describe import describe
from streamhub_orm.schema.naming import ANNOTATION_TYPES, NAMING_CONVENTION, SQL_NOW
from streamhub_orm.schema.types import EnumText, IntBool, JsonText, UtcIso, UtcSql, one_of, utc_now

__all__ = [
    "ANNOTATION_TYPES",
    "NAMING_CONVENTION",
    "SQL_NOW",
    "EnumText",
    "IntBool",
    "JsonText",
    "UtcIso",
    "UtcSql",
    "describe",
    "one_of",
    "utc_now",
]
