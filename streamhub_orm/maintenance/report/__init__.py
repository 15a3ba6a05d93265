"""One HTML page about all databases of an installation, to be looked at or sent on."""

from streamhub_orm.maintenance.report.facts import ArchiveFacts
from streamhub_orm.maintenance.report.page import counted, write_report

__all__ = ["ArchiveFacts", "counted", "write_report"]
