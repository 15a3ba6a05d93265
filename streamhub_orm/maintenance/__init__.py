"""The operator's tools: look at the databases, shrink them, and clear them of what may go."""
