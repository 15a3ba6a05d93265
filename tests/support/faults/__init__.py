"""Attacks on the upgrade: kills at every step, faults of the disk, races between processes."""
