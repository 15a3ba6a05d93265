"""One HTML page about all databases of an installation, to be looked at or sent on."""

from streamhub_orm.maintenance.report.page import write_report

__all__ = ["write_report"]
