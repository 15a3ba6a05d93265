"""Installations as the Node core left them, and what must be true of them after an upgrade."""

from __future__ import annotations

from .builder import Installation, build_installation
from .site import Options

__all__ = ["Installation", "Options", "build_installation"]
