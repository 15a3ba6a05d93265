"""For the tests of programs that build on this package: installations, rows, a clock, checks.

The plugin for pytest is found by itself where pytest is installed; its fixtures are in
`streamhub_orm.testing.plugin`. The other modules need no pytest.
"""
