#!/usr/bin/env python3
"""The database step of a release: `streamhub-db release`, with its options, for this Python.

Exits with 3, as any refusal does, where the new release is not installed.
"""

from __future__ import annotations

import json
import sys

if __name__ == "__main__":
    try:
        import streamhub_orm.cli.release  # noqa: F401 - all that the step needs
        from streamhub_orm.cli import main
    except ImportError as error:
        message = f"{sys.executable} has no {error.name}: install streamhub-orm, nothing was done"
        print(f"Error: {message}", file=sys.stderr)
        if "--json" in sys.argv:
            print(json.dumps({"ok": False, "error": message}))
        sys.exit(3)
    sys.argv.insert(1, "release")
    main()
