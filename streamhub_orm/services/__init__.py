"""What services do with the tables: one module per aggregate, functions over a session.

A function flushes but never commits: the session it was given does, at its end. Where a result
depends on the time, `now` takes an aware datetime and is the present by default.
"""
