"""The engines of an installation: one for the global database, a bounded number for the apps."""

from streamhub_orm.databases.cache import Counters
from streamhub_orm.databases.databases import Databases

__all__ = ["Counters", "Databases"]
