"""`python -m streamhub_orm` is `streamhub-db`."""

from streamhub_orm.cli import main

main()
