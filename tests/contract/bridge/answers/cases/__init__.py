"""All cases of the corpus, in groups: each group is asked of a bridge of its own, one case after the other."""

from collections.abc import Iterable

from tests.contract.bridge.answers.cases import (
    changes,
    negotiation,
    operations,
    others,
    routes,
    sending,
    upstream,
    wire,
)
from tests.contract.bridge.answers.corpus import Group
from tests.contract.bridge.answers.exchange import Case


def _group(name: str, bridge: str, *cases: Iterable[Case], listener: str = "public") -> Group:
    found = [one for some in cases for one in some]
    names = [one.name for one in found]
    assert len(set(names)) == len(names), f"{name}: {sorted({one for one in names if names.count(one) > 1})}"
    return Group(name, bridge, found, listener)


CHANGES = {
    # 60 KB of query cost 11 ms.
    "client: a query of more than 8 KiB": "400 invalid-query",
    "client: a query of much more than 8 KiB": "400 invalid-query",
    "client of the default hub: a query of more than 8 KiB": "400 invalid-query",
    "client of the default hub: a query of much more than 8 KiB": "400 invalid-query",
    # RFC 9112, section 3.2: such a request is answered with 400.
    "no host": "400 invalid-header",
    "two hosts": "400 invalid-header",
    "no host on a route of callers": "400 invalid-header",
    # Whoever waits for leave to send a body may leave it out, and the next request would be taken for it.
    "continue, unknown caller": "401 unauthenticated",
    "continue, another type": "415 unsupported-media-type",
    # In development a page of another port of this machine may negotiate. Its own origin is named like any other.
    "client from http://localhost:8080": "200",
    "client from http://localhost": "200",
    "client from https://localhost:8080": "200",
    "preflight from http://localhost:8080": "204",
    "preflight from http://localhost": "204",
    "preflight from https://localhost:8080": "204",
    # The text says how a page of another machine is let in.
    "client from null": "403 forbidden",
    "client from http://evil.example": "403 forbidden",
    # A GET route answers HEAD, too.
    "events, head": "200",
    "events, post": "405 method-not-allowed",
    "PATCH /events": "405 method-not-allowed",
    "OPTIONS /events": "405 method-not-allowed",
    "HEAD /hubs/chat/endpoints": "401 unauthenticated",
    "POST /hubs/chat/endpoints": "405 method-not-allowed",
    "PATCH /hubs/chat/endpoints": "405 method-not-allowed",
    "OPTIONS /hubs/chat/endpoints": "405 method-not-allowed",
    # There is a parameter, which the answer names.
    "events, unknown parameter": "400 invalid-query",
    # The service is told which handlers the hub has.
    "no handler": "404 no-handler",
    "no handler of the hub": "404 no-handler",
    # There is a list of hubs.
    "hubs": "200",
    "PATCH /hubs": "405 method-not-allowed",
    "OPTIONS /hubs": "405 method-not-allowed",
    # BRIDGE_CONSOLE serves the page.
    "the root": "200",
    "the root, head": "200",
    "PATCH /": "405 method-not-allowed",
    "OPTIONS /": "405 method-not-allowed",
    # HEAD is answered wherever GET is, and Allow says so.
    "ready, without a body": "200",
    "HEAD /health/live": "200",
    "POST /health/live": "405 method-not-allowed",
    "PATCH /health/live": "405 method-not-allowed",
    "OPTIONS /health/live": "405 method-not-allowed",
    "PATCH /health/ready": "405 method-not-allowed",
    "OPTIONS /health/ready": "405 method-not-allowed",
    "preflight of /health/live": "405 method-not-allowed",
    "a head between two": "200",
    "close on a head": "200",
    "members, head": "200",
    "PATCH /hubs/chat/groups/team%2F1/connections": "405 method-not-allowed",
    "OPTIONS /hubs/chat/groups/team%2F1/connections": "405 method-not-allowed",
    # Who is not let in takes no place in flight, and learns that before it learns of the load.
    "send by nobody, one in flight": "401 unauthenticated",
    "nothing, one in flight": "404 route-not-found",
    "another method, one in flight": "405 method-not-allowed",
    # A path with a slash at its end is another path, which no route has.
    "a user of nothing": "404 route-not-found",
    "a connection of nothing": "404 route-not-found",
    "a member of nothing": "404 route-not-found",
    "POST /hubs/chat/groups: slash at the end": "404 route-not-found",
    "DELETE /hubs/chat/groups/team%2F1/connections: slash at the end": "404 route-not-found",
    "DELETE /hubs/chat/connections: slash at the end": "404 route-not-found",
    "GET /hubs/chat/groups/team%2F1/connections: slash at the end": "404 route-not-found",
    # RFC 9110, section 9.3.6: its target is a host and a port, and has no path.
    "a tunnel to a host": "405 method-not-allowed",
    # The token of a client without a user tells this client apart, by a random mark in bridge.claims.
    "client of rooms": "200",
    "client of outside": "200",
    "client of strict": "200",
    # A fault in MessagePack is called so.
    "packed message of nothing": "400 malformed-json",
    "packed message of nonsense": "400 malformed-json",
    "packed message of an object": "400 malformed-json",
    "packed message of half": "400 malformed-json",
    "packed message of more behind it": "400 malformed-json",
    # The service lacks the operation: the answer says so, and asks nobody to try again.
    "call: bare": "502 invoke-failed",
    "members of say-bare": "503 no-endpoint-available",
}
"""The cases whose answers changed on purpose, by name, each with its status and the code of a problem.

Besides, an outcome may have the new code ``overloaded``. No case has an outcome for which that could be so.
"""

GROUPS = [
    _group(
        "operations",
        "serve",
        operations.stream(),
        operations.operations(),
        operations.ids(),
        operations.credentials(),
        operations.paths(),
    ),
    _group("routes", "serve", routes.right_and_wrong(), routes.shapes(), routes.methods()),
    _group("negotiation", "serve", negotiation.clients(), negotiation.rules(), negotiation.callers()),
    _group("pages", "serve", negotiation.pages(), negotiation.long_queries()),
    _group("messages", "serve", sending.messages(), sending.options(), sending.faults()),
    _group("arrays", "serve", sending.arrays(), sending.groups(), sending.once()),
    _group("changes", "serve", changes.changes(), changes.calls()),
    _group("questions", "serve", changes.questions(), changes.lists()),
    _group("upstream", "serve", upstream.messages(), upstream.bodies(), upstream.connections(), upstream.checks()),
    _group("wire", "serve", wire.pipelines(), wire.upgrades(), wire.connections(), wire.nonsense()),
    _group("bodies", "serve", wire.bodies(), wire.waiting()),
    _group("public listener", "callers apart", others.either_listener()),
    _group("callers' listener", "callers apart", others.either_listener(), listener="callers"),
    _group("callers without keys", "callers without keys", others.without_keys(), listener="callers"),
    _group("development", "development", others.development()),
    _group("several hubs", "several hubs", others.several_hubs()),
    _group("named hubs only", "named hubs only", others.named_hubs()),
    _group("unhandled is fine", "unhandled is fine", upstream.unhandled()),
    _group("small bodies", "small bodies", upstream.sizes()),
    _group("rates", "rates", others.rates()),
    _group("one in flight", "one in flight", others.one_in_flight()),
    _group("one under way", "one under way", others.one_under_way()),
    _group("nobody there", "nobody there", others.nobody_there()),
    _group("one of two there", "one of two there", others.one_of_two_there()),
    _group("two there", "two there", others.two_there()),
]
