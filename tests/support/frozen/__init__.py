"""Installations as they once were, frozen as SQL text."""
