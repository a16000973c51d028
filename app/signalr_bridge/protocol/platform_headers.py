"""The headers by which App Service, Container Apps and Static Web Apps say who a client is.

The platform strips them from what clients send. Where no such platform stands in front, a client can write them itself.

Source: https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
"""

from collections.abc import Mapping, Sequence

_BEGINNINGS = ("x-ms-client-principal", "x-ms-token-")


def is_platform_header(name: str) -> bool:
    """Whether the platform writes this header, or an app may take it for one. The name is in lower case."""
    return name.startswith(_BEGINNINGS) or is_imitation(name)


def is_imitation(name: str) -> bool:
    """Whether a header has underscores in a name that is otherwise the platform's. No platform writes or strips it.

    Apps by WSGI and CGI see no difference between the two, so it is never believed.
    Source: https://www.rfc-editor.org/rfc/rfc3875#section-4.1.18
    """
    return "_" in name and name.replace("_", "-").startswith(_BEGINNINGS)


def hide_headers(headers: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """The headers without those of the platform. Names are in lower case."""
    return {name: values for name, values in headers.items() if not is_platform_header(name)}
