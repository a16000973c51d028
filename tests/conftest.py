"""For all tests: how many examples property tests try that say nothing themselves."""

from hypothesis import settings

settings.register_profile("quick", max_examples=25)  # make check; `make test` tries hypothesis's own 100
