"""The control plane: the global database on a PostgreSQL server, for installations of many nodes.

Its driver is psycopg, of the extra `postgresql`.
"""
