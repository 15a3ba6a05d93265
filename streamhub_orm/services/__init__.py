"""Services over the tables: one module per aggregate, functions over a session.

The module is the namespace: `from streamhub_orm.services import tokens`, then `tokens.issue(…)`.
`get` raises where there is nothing and `find` returns None; `delete` raises; `list_` gives a list.

A function flushes but never commits: the session it was given does, at its end. Where a result
depends on the time, `now` takes an aware datetime and is the present by default.
"""
