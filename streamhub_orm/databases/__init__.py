"""The engines of an installation: one for the global database, a bounded number for the apps."""

from streamhub_orm.databases.databases import Databases
from streamhub_orm.databases.engine_cache import Counters

__all__ = ["Counters", "Databases"]
