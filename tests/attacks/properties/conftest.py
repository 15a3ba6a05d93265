"""How many examples Hypothesis tries: `ci` is the default, HYPOTHESIS_PROFILE=long the other."""

from __future__ import annotations

import os
from datetime import timedelta

from hypothesis import HealthCheck, Phase, settings

COMMON = settings(
    deadline=None,
    print_blob=True,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
# The same examples each time, and none made smaller: the long profile does that for whoever asks.
settings.register_profile(
    "ci",
    COMMON,
    max_examples=60,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
)
settings.register_profile("long", COMMON, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

LONG_RUN = timedelta(hours=2)
"""What a test may take: the long profile needs more than the suite's usual limit."""
