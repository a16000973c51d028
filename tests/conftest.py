"""For all tests: how many examples property tests try that say nothing themselves."""

from hypothesis import HealthCheck, settings

# `make check`, whose processes share the cores: how fast a value is made says nothing there. `make test` tries
# hypothesis's own 100 examples.
settings.register_profile("quick", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
