"""SQLite itself: connections and their pragmas, durable files, verified backups, the run lock."""
