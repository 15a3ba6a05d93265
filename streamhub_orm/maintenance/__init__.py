"""Upkeep of the databases: their health and sizes shown, space given back, data deleted."""
