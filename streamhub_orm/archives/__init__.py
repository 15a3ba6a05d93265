"""Backups of a whole installation: one archive with every database, and back."""
