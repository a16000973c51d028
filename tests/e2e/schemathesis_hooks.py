"""Which calls of schemathesis are left out: those that take a header nobody knows for a mistake.

A recipient ignores unknown header fields. Source: RFC 9110, section 5.1.
"""

from typing import Any

import schemathesis

UNKNOWN = "x-schemathesis-unknown-property"
"""The header that schemathesis adds when it breaks a schema by one member too many."""


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Whether the call is made."""
    return UNKNOWN not in {name.lower() for name in case.headers or ()}
