"""How many examples the property tests of this folder try: 2,000 in `make test`, more in `make trial`."""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2000"))

PROFILE = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
"""Decorates a test."""

SHORT_PROFILE = settings(PROFILE, max_examples=EXAMPLES // 10)
"""For a test that there is once for each of many decoders."""
