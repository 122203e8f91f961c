"""What holds for all requests: routes, envelopes, headers, authentication, paging, limits."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from enmeshed_backbone.server import BackboneServer
from enmeshed_backbone.settings import Settings
from tests.support.backbone_client import (
    FUTURE,
    Device,
    assert_error,
    b64u,
    new_identity,
    open_http,
    result_of,
)

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_paths_are_found_in_any_case_and_ids_keep_theirs(anna: Device) -> None:
    token = await anna.post("tOkEnS", {"expiresAt": FUTURE})

    assert (await anna.get(f"TOKENS/{token['id']}"))["id"] == token["id"]
    assert_error(await anna.call("GET", f"Tokens/{token['id'].swapcase()}"), 400, "validation.invalidPropertyValue")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//api/v2/Version",
        "/api/v2/Version//",
        "/api/v2/Nothing",
        "/api/v1/Devices/Self",
        "/api/v2/Messages/MSGx/setReadFlag",
    ],
)
async def test_an_unknown_route_is_a_404_without_envelope(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)

    assert (response.status_code, response.content) == (404, b"")


async def test_another_method_of_a_known_path_is_a_405_without_envelope(anna: Device) -> None:
    response = await anna.call("DELETE", "Messages/MSGx")

    assert (response.status_code, response.content) == (405, b"")


async def test_names_of_members_are_read_in_any_case_and_unknown_ones_are_ignored(anna: Device) -> None:
    made = await anna.post("Tokens", {"EXPIRESAT": FUTURE, "Content": b64u(b"x"), "somethingElse": {}})

    assert (await anna.get(f"Tokens/{made['id']}"))["content"] == b64u(b"x")


async def test_absent_values_are_written_as_null(anna: Device) -> None:
    made = await anna.post("Tokens", {"expiresAt": FUTURE})
    token = await anna.get(f"Tokens/{made['id']}")

    assert token["content"] is None
    assert token["forIdentity"] is None


@pytest.mark.parametrize("token", [None, "Bearer", "Bearer x.y.z", "Basic dGVzdDp0ZXN0", "Bearer ä"])
async def test_without_a_valid_token_the_answer_is_401_without_body(http: httpx.AsyncClient, token: str | None) -> None:
    headers = [] if token is None else [(b"Authorization", token.encode("latin-1"))]
    response = await http.get("/api/v2/Devices/Self", headers=headers)

    assert (response.status_code, response.content) == (401, b"")
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_is_refused_once_its_signature_or_claims_are_altered(anna: Device) -> None:
    header, claims, signature = anna.token.split(".")
    for forged in (
        f"{header}.{claims[:-4]}AAAA.{signature}",
        f"{header}.{claims}.{signature[:-4]}AAAA",
        f"{b64u(json.dumps({'alg': 'none'}).encode())}.{claims}.",
        f"{header}.{claims}",
    ):
        response = await anna.call("GET", "Devices/Self", headers={"Authorization": f"Bearer {forged}"})
        assert response.status_code == 401


async def test_a_token_expires_after_its_lifetime(anna: Device, admin: httpx.AsyncClient) -> None:
    await admin.post("/api/v1/Development/Clock", json={"seconds": 240})
    assert (await anna.call("GET", "Devices/Self")).status_code == 200
    await admin.post("/api/v1/Development/Clock", json={"seconds": 61})
    assert (await anna.call("GET", "Devices/Self")).status_code == 401


async def test_an_invalid_token_makes_an_anonymous_caller_where_those_are_allowed(anna: Device) -> None:
    response = await anna.call("POST", "Challenges", json={}, headers={"Authorization": "Bearer nothing"})

    assert result_of(response, 201)["createdBy"] is None


async def test_answers_tell_their_time_and_trace(anna: Device) -> None:
    response = await anna.call("GET", "Devices/Self")
    headers = response.headers

    assert _TIMESTAMP.fullmatch(headers["x-request-time"])
    assert _TIMESTAMP.fullmatch(headers["x-response-time"])
    assert headers["x-response-duration-ms"].isdigit()
    assert headers["x-trace-id"]
    assert headers["x-correlation-id"]
    assert headers["x-frame-options"] == "Deny"
    assert headers["content-type"].startswith("application/json")
    age = datetime.now(UTC) - datetime.fromisoformat(headers["x-response-time"])
    assert abs(age.total_seconds()) < 30


@pytest.mark.parametrize(("given", "echoed"), [("a b", "a b"), ("x" * 300, "x" * 100)])
async def test_the_correlation_id_comes_back_and_is_cut(http: httpx.AsyncClient, given: str, echoed: str) -> None:
    response = await http.get("/health", headers={"X-Correlation-ID": given})

    assert response.headers["x-correlation-id"] == echoed


async def test_an_error_has_its_envelope(anna: Device) -> None:
    response = await anna.call("GET", "Messages/MSGx")
    error = assert_error(response, 404, "recordNotFound")

    assert error["message"].startswith("Message not found.")
    assert error["docs"] == ""
    assert error["data"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z", error["time"])


async def test_created_things_tell_their_place(anna: Device) -> None:
    response = await anna.call("POST", "Challenges", json={})

    assert response.headers["location"] == f"/api/v2/Challenges/{response.json()['result']['id']}"


async def test_a_list_of_one_page_tells_of_no_pages_and_a_longer_one_does(anna: Device) -> None:
    ids = [(await anna.post("Tokens", {"expiresAt": FUTURE}))["id"] for _ in range(5)]

    whole = (await anna.call("GET", "Tokens", params={"ids": ids, "pageSize": 5})).json()
    assert [token["id"] for token in whole["result"]] == ids
    assert set(whole) == {"result"}

    second = (await anna.call("GET", "Tokens", params={"ids": ids, "pageSize": 2, "pageNumber": 2})).json()
    assert [token["id"] for token in second["result"]] == ids[2:4]
    assert second["pagination"] == {"pageNumber": 2, "pageSize": 2, "totalPages": 3, "totalRecords": 5}

    beyond = (await anna.call("GET", "Tokens", params={"ids": ids, "pageSize": 2, "pageNumber": 9})).json()
    assert beyond["result"] == []
    assert beyond["pagination"]["totalPages"] == 3


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"pageSize": "201"}, "validation.pagination.invalidPageSize"),
        ({"pageSize": "0"}, "validation.pagination.invalidPageSize"),
        ({"pageNumber": "0"}, "validation.invalidPropertyValue"),
        ({"pageNumber": "x"}, "inputCannotBeParsed"),
        ({"pageNumber": "99999999999999999999"}, "inputCannotBeParsed"),
    ],
)
async def test_a_page_that_cannot_be_is_refused(anna: Device, parameters: dict[str, str], code: str) -> None:
    assert_error(await anna.call("GET", "Messages", params=parameters), 400, code)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"1", b"{", b'{"expiresAt": }', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000]
)
async def test_a_body_that_is_no_json_object_is_refused(anna: Device, body: bytes) -> None:
    response = await anna.call("POST", "Tokens", content=body, headers={"Content-Type": "application/json"})

    assert_error(response, 400, "inputCannotBeParsed")


async def test_another_content_type_is_a_415_without_envelope(anna: Device) -> None:
    for path in ("Tokens", "Files"):
        response = await anna.call("POST", path, content=b"x=1", headers={"Content-Type": "text/plain"})
        assert (response.status_code, response.content) == (415, b"")


async def test_a_query_with_too_many_parameters_is_refused(anna: Device) -> None:
    query = "&".join(f"ids=TOK{number}" for number in range(1001))

    assert_error(await anna.call("GET", f"Tokens?{query}"), 400, "inputCannotBeParsed")


class TestBodyLimit:
    """Bodies over the limit are refused without being kept."""

    LIMIT = 100_000

    @pytest.fixture
    def settings(self) -> Settings:
        return replace(Settings(), port=0, admin_port=0, max_body_bytes=self.LIMIT, seed_identities=False)

    async def test_an_announced_size_over_the_limit_is_refused_before_the_body_is_sent(
        self, settings: Settings
    ) -> None:
        async with BackboneServer(settings) as server:
            reader, writer = await asyncio.open_connection("localhost", server.settings.port)
            head = "POST /api/v2/Identities HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {self.LIMIT + 1}\r\n\r\n".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readuntil(b"}}")
            writer.close()
            await writer.wait_closed()

        assert answer.startswith(b"HTTP/1.1 400")
        assert json.loads(body)["error"]["code"] == "error.platform.requestBodyTooLarge"

    async def test_a_body_of_unknown_size_is_refused_as_soon_as_it_is_over(self, settings: Settings) -> None:
        async with BackboneServer(settings) as server:
            reader, writer = await asyncio.open_connection("localhost", server.settings.port)
            head = "POST /api/v2/Identities HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            for _ in range(11):
                writer.write(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
            await writer.drain()
            # The client has not said that the body is complete, and never will.
            answer = await reader.readuntil(b"}}")
            writer.close()
            await writer.wait_closed()

        assert b"error.platform.requestBodyTooLarge" in answer

    async def test_a_body_of_exactly_the_limit_is_read(self, settings: Settings) -> None:
        async with BackboneServer(settings) as server, open_http(server.base_url) as http:
            body = b'{"x":"' + b"x" * (self.LIMIT - 8) + b'"}'
            headers = {"Content-Type": "application/json"}
            response = await http.post("/api/v2/Identities", content=body, headers=headers)
            assert_error(response, 400, "inputCannotBeParsed")
            response = await http.post("/api/v2/Identities", content=body + b" ", headers=headers)
            assert_error(response, 400, "requestBodyTooLarge")

    async def test_the_server_goes_on_after_refusing(self, settings: Settings) -> None:
        async with BackboneServer(settings) as server, open_http(server.base_url) as http:
            for _ in range(3):
                assert_error(
                    await http.post("/api/v2/Challenges", content=bytes(self.LIMIT * 2)), 400, "requestBodyTooLarge"
                )
            device = await new_identity(http)
            assert await device.events() == []


@pytest.mark.parametrize("sent", [b"", b"{"])
async def test_a_body_that_does_not_come_is_not_waited_for_longer_than_is_set(sent: bytes) -> None:
    settings = replace(Settings(), port=0, admin_port=0, body_timeout=1, seed_identities=False)
    async with BackboneServer(settings) as server:
        reader, writer = await asyncio.open_connection("localhost", server.settings.port)
        head = b"POST /api/v2/Challenges HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
        writer.write(head + sent)
        answer = await reader.readuntil(b"}}")
        writer.close()
        await writer.wait_closed()

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"error.platform.inputCannotBeParsed" in answer


@pytest.mark.parametrize("charset", ["undefined", "idna", "utf-16", "no-such-encoding"])
async def test_a_form_in_another_encoding_is_the_fault_of_its_sender(anna: Device, charset: str) -> None:
    body = b'--x\r\ncontent-disposition: form-data; name="xn--a\xff"\r\n\r\n\xff\r\n--x--\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}

    assert_error(await anna.call("POST", "Files", content=body, headers=headers), 400, "inputCannotBeParsed")


async def test_a_client_that_goes_away_in_the_middle_changes_nothing(backbone: BackboneServer) -> None:
    _, writer = await asyncio.open_connection("localhost", backbone.settings.port)
    writer.write(b"POST /api/v2/Challenges HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with open_http(backbone.base_url) as http:
        result_of(await http.post("/api/v2/Challenges", json={}), 201)

    assert backbone.rows("SELECT count(*) AS n FROM challenges") == [{"n": 1}]
