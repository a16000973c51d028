"""Who is in a group, page by page.

Source: ``spec/rest-and-management.md`` 4.6. The continuation token is the last connection id of the page before.
"""

from starlette.responses import Response

from signalr_bridge.emulator.hubs import Hub
from signalr_bridge.emulator.rest.answers import json_answer
from signalr_bridge.emulator.rest.payloads import BadRequest
from signalr_bridge.protocol.rest import Operation
from signalr_bridge.protocol.rest_answer import ListedConnection, MemberPage, write_member_page

LARGEST_PAGE = 200


def list_members(hub: Hub, operation: Operation, url: str) -> Response:
    """``url`` is what was asked for, without query. Members who come or go meanwhile disturb no other's place."""
    size = LARGEST_PAGE if operation.page_size is None else operation.page_size
    if not 1 <= size <= LARGEST_PAGE:
        raise BadRequest("maxpagesize", f"The value is not between 1 and {LARGEST_PAGE}.")
    behind = operation.continuation or ""
    found = sorted(hub.find_group(operation.group), key=lambda one: one.connection_id)
    found = [one for one in found if one.connection_id > behind]
    members = [ListedConnection(one.connection_id, one.user_id) for one in found[:size]]
    following = members[-1].connection_id if len(found) > size else None
    return json_answer(write_member_page(MemberPage(members, following), url))
