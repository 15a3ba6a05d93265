"""`streamhub-db upgrade`: the whole installation to head, every legacy row accounted for."""

from streamhub_orm.upgrade.report import AppReport, GlobalReport, UpgradeReport
from streamhub_orm.upgrade.run import upgrade_installation

__all__ = ["AppReport", "GlobalReport", "UpgradeReport", "upgrade_installation"]
