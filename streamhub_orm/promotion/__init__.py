"""The way of the global database from its file to a server, and back."""
