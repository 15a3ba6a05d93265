"""Errors about streams, recordings and what belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.errors.access import UnknownRowError
from streamhub_orm.errors.base import StreamHubError

if TYPE_CHECKING:
    from collections.abc import Collection


class UnknownVodError(UnknownRowError):
    """No recording of the app has this id."""

    def __init__(self, vod_id: int) -> None:
        """Keep the id."""
        super().__init__("recording", vod_id, "vods")


class UnknownVariantError(UnknownRowError):
    """No file of a recording has this id."""

    def __init__(self, variant_id: int) -> None:
        """Keep the id."""
        super().__init__("variant", variant_id, "vod_variants")


class UnknownPluginError(UnknownRowError):
    """The plugin is not installed in this app."""

    def __init__(self, plugin_id: str) -> None:
        """Keep the id."""
        super().__init__("plugin", plugin_id, "app_plugins")


class UnknownTargetError(UnknownRowError):
    """No restream target of the app has this id."""

    def __init__(self, target_id: int) -> None:
        """Keep the id."""
        super().__init__("restream target", target_id, "restream_targets")


class UnknownIngressError(UnknownRowError):
    """No ingress of the app has this id."""

    def __init__(self, ingress_id: str) -> None:
        """Keep the id."""
        super().__init__("ingress", ingress_id, "ingress_auth")


class VodFieldError(StreamHubError):
    """A change names a column of a recording that no caller may set."""

    def __init__(self, names: Collection[str], allowed: Collection[str]) -> None:
        """Keep the names that are refused and those that are allowed."""
        super().__init__(
            f"a recording's {', '.join(sorted(names))} cannot be set this way; expected some of "
            f"{', '.join(sorted(allowed))}. The status is changed by vods.set_status.",
        )
        self.names = tuple(sorted(names))
        self.allowed = tuple(sorted(allowed))


class VodStateError(StreamHubError):
    """A recording cannot go from the status that it has to the one that was asked for."""

    def __init__(self, vod_id: int, found: str, wanted: str, expected: Collection[str]) -> None:
        """Keep the recording, its status, the one asked for, and those that lead there."""
        come_from = " or ".join(sorted(expected)) or "no other status"
        super().__init__(
            f"recording {vod_id} is {found} and cannot become {wanted}; expected it to be "
            f"{come_from}. Another worker may have moved it: look at its status again.",
        )
        self.vod_id = vod_id
        self.found = found
        self.wanted = wanted
        self.expected = tuple(sorted(expected))


class PluginInstalledError(StreamHubError):
    """The plugin is installed in this app already."""

    def __init__(self, plugin_id: str) -> None:
        """Keep the plugin's id."""
        super().__init__(
            f"plugin {plugin_id!r} is installed in this app already; expected one that is not. "
            "Use plugins.configure to change it.",
        )
        self.plugin_id = plugin_id
