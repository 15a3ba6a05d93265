"""The data access of the services: one module per aggregate, plain functions over a session.

They flush where they have to and never commit: the session's block does, and rolls back on error.
"""
