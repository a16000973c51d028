"""Pages of members and answers of clients, there and back; and what is neither."""

import pytest
from signalr_bridge.errors import MalformedMessage
from signalr_bridge.protocol.rest import (
    ListedConnection,
    MemberPage,
    read_client_error,
    read_member_page,
    read_result,
    write_client_error,
    write_member_page,
    write_result,
)

ANN, NOBODY = ListedConnection("c1", "ann"), ListedConnection("c2")


@pytest.mark.parametrize(
    "page", [MemberPage([]), MemberPage([ANN, NOBODY]), MemberPage([ANN], "a+b/c=="), MemberPage([], "é 1&2")]
)
def test_a_page_there_and_back(page: MemberPage) -> None:
    assert read_member_page(write_member_page(page, "http://localhost/x")) == page


def test_the_form_of_the_swagger() -> None:
    body = write_member_page(MemberPage([ANN, NOBODY], "t"), "https://e.example/g")
    assert body == (
        b'{"value":[{"connectionId":"c1","userId":"ann"},{"connectionId":"c2"}],'
        b'"nextLink":"https://e.example/g?continuationToken=t"}'
    )


@pytest.mark.parametrize("link", ["null", '""'])
def test_the_last_page_may_say_so_in_several_ways(link: str) -> None:
    assert read_member_page(f'{{"value":[],"nextLink":{link}}}'.encode()) == MemberPage([])


def test_a_link_has_more_in_its_query() -> None:
    link = "https://x/y?top=5&ContinuationToken=a%2Bb&api-version=2024-12-01"
    assert read_member_page(f'{{"value":[],"nextLink":"{link}"}}'.encode()).continuation == "a+b"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"value":{}}',
        b'{"value":[1]}',
        b'{"value":[{}]}',
        b'{"value":[{"connectionId":1}]}',
        b'{"value":[{"connectionId":"c","userId":5}]}',
        b'{"value":[],"nextLink":5}',
        b'{"value":[],"nextLink":"https://x/y"}',
        b'{"value":[],"nextLink":"https://x/y?continuationToken="}',
        b'{"value":[],"nextLink":"https://x/y?continuationToken=%ff"}',
        b'{"value":[],"nextLink":"https://[x/y?continuationToken=1"}',
    ],
)
def test_what_is_no_page(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_member_page(body)


def test_a_result_is_passed_on_as_it_is() -> None:
    assert bytes(read_result(b'{"result": {"n": 1.50},"protocol":"x"}')) == b'{"n": 1.50}'
    assert bytes(read_result(write_result(None))) == b"null"
    assert bytes(read_result(b"{}")) == b"null"


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b'{"result":1,"result":2}', b"\xff"])
def test_what_is_no_result(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_result(body)


def test_a_clients_error() -> None:
    assert read_client_error(write_client_error("no é")) == "no é"
    assert read_client_error(b'{"message": 5}') == ""
