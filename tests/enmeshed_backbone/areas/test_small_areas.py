"""Feature flags, notifications, announcements, tags, quotas, and the documents beside the API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from enmeshed_backbone import addresses
from enmeshed_backbone.areas.quotas import Period
from enmeshed_backbone.dates import network_text, parse
from enmeshed_backbone.server import BackboneServer
from enmeshed_backbone.settings import Settings
from tests.support.backbone_client import (
    FUTURE,
    Device,
    MakeIdentity,
    ask_for_relationship,
    assert_error,
    new_identity,
    open_http,
    relate,
    result_of,
)


async def admin_post(admin: httpx.AsyncClient, path: str, body: Any, status: int = 201) -> Any:
    xsrf = (await admin.get("/api/v1/xsrf")).text
    response = await admin.post(f"/api/v1/{path}", json=body, headers={"x-xsrf-token": xsrf})
    return result_of(response, status)


@asynccontextmanager
async def served(**change: Any) -> AsyncIterator[httpx.AsyncClient]:
    settings = replace(Settings(), port=0, admin_port=0, seed_identities=False, **change)
    async with BackboneServer(settings) as server, open_http(server.base_url) as http:
        yield http


class TestFeatureFlags:
    """What an identity tells that it can do."""

    async def set(self, device: Device, flags: Any) -> httpx.Response:
        response: httpx.Response = await device.call("PATCH", "Identities/Self/FeatureFlags", json=flags)
        return response

    async def test_flags_are_added_and_overwritten_and_written_in_camel_case(self, anna: Device) -> None:
        assert (await self.set(anna, {"One": True, "two": False})).status_code == 204
        assert (await self.set(anna, {"two": True})).status_code == 204

        assert await anna.get(f"Identities/{anna.address}/FeatureFlags") == {"one": True, "two": True}

    async def test_those_who_know_an_identity_see_its_flags_and_learn_of_changes(
        self, anna: Device, bert: Device, make_identity: MakeIdentity
    ) -> None:
        carla, dora = await make_identity(), await make_identity()
        await relate(bert, anna)
        await bert.events()
        await carla.get(f"RelationshipTemplates/{await anna.make_template()}")
        await bert.get(f"RelationshipTemplates/{await anna.make_template()}")
        await self.set(anna, {"x": True})

        path = f"Identities/{anna.address}/FeatureFlags"
        for peer in (bert, carla):
            assert await peer.get(path) == {"x": True}
            events = [(event["type"], event["payload"]) for event in await peer.events()]
            assert events == [("PeerFeatureFlagsChanged", {"peerAddress": anna.address})]
        assert_error(await dora.call("GET", path), 404, "recordNotFound")
        assert await dora.events() == []
        assert_error(await dora.call("GET", "Identities/x/FeatureFlags"), 400, "validation.invalidPropertyValue")

    @pytest.mark.parametrize(
        ("flags", "code"),
        [
            ([], "inputCannotBeParsed"),
            ({"a": 1}, "inputCannotBeParsed"),
            ({"a" * 201: True}, "validation.invalidPropertyValue"),
            ({f"n{n}": True for n in range(201)}, "validation.featureFlag.maxNumberOfFeatureFlagsExceeded"),
        ],
    )
    async def test_wrong_flags_are_refused(self, anna: Device, flags: Any, code: str) -> None:
        assert_error(await self.set(anna, flags), 400, code)

    async def test_two_hundred_flags_are_the_most_in_total(self, anna: Device) -> None:
        await self.set(anna, {f"n{n}": True for n in range(200)})
        code = "validation.featureFlag.maxNumberOfFeatureFlagsExceeded"
        assert_error(await self.set(anna, {"more": True}), 400, code)

        assert (await self.set(anna, {"n7": False})).status_code == 204


class TestNotifications:
    """Pushes with a configured text."""

    async def test_a_configured_code_is_sent_to_peers(self, anna: Device, bert: Device) -> None:
        await relate(anna, bert)
        body = {"recipients": [bert.address], "code": "TestCode"}
        assert (await anna.call("POST", "Notifications", json=body)).status_code == 204

    async def test_what_is_wrong_is_refused_in_order(self, anna: Device, bert: Device) -> None:
        prefix = "validation.notification."

        async def refused(code: str, recipients: Any = (bert.address,), text: str = "Other") -> None:
            body = {"recipients": list(recipients), "code": text}
            assert_error(await anna.call("POST", "Notifications", json=body), 400, code)

        await refused("validation.invalidPropertyValue", recipients=[])
        await refused("validation.invalidPropertyValue", recipients=["x"])
        await refused("validation.invalidPropertyValue", recipients=[bert.address] * 101)
        await refused("validation.invalidPropertyValue", text="")
        await refused("inputCannotBeParsed", recipients=[5])
        await refused(prefix + "noRelationshipToOneOrMoreRecipientsExists")
        relationship_id = await ask_for_relationship(anna, bert)
        await refused(prefix + "codeDoesNotExist")
        await bert.put(f"Relationships/{relationship_id}/Reject")
        await refused(prefix + "relationshipToRecipientIsNotInCorrectStatus")


class TestAnnouncements:
    """What the operator tells."""

    BODY: dict[str, Any] = {  # noqa: RUF012  # Not changed by any test.
        "severity": "High",
        "isSilent": False,
        "texts": [
            {"language": "en", "title": "Title", "body": "Body"},
            {"language": "de", "title": "Titel", "body": "Text"},
        ],
        "actions": [{"displayName": {"en": "Open", "de": "Auf"}, "link": "https://example.org"}],
        "expiresAt": FUTURE,
    }

    async def test_everybody_reads_an_announcement_in_their_language(
        self, anna: Device, bert: Device, admin: httpx.AsyncClient
    ) -> None:
        made = await admin_post(admin, "Announcements", self.BODY)
        for device, language, title, name in ((anna, "de", "Titel", "Auf"), (bert, "it", "Title", "Open")):
            (found,) = await device.get("Announcements", params={"language": language})
            assert found.pop("createdAt") == made["createdAt"]
            assert found == {
                "id": made["id"],
                "expiresAt": FUTURE,
                "severity": "High",
                "title": title,
                "body": "Text" if language == "de" else "Body",
                "actions": [{"displayName": name, "link": "https://example.org", "iqlQuery": None}],
                "iqlQuery": None,
            }

    async def test_an_announcement_for_some_is_read_by_them_alone(
        self, anna: Device, bert: Device, admin: httpx.AsyncClient
    ) -> None:
        body = {**self.BODY, "recipients": [anna.address], "isSilent": True, "iqlQuery": "#x"}
        made = await admin_post(admin, "Announcements", body)

        assert made["recipients"] == [anna.address]
        assert [a["iqlQuery"] for a in await anna.get("Announcements", params={"language": "en"})] == ["#x"]
        assert await bert.get("Announcements", params={"language": "en"}) == []

    @pytest.mark.parametrize(
        ("language", "code"), [("", "inputCannotBeParsed"), ("eng", "validation.invalidPropertyValue")]
    )
    async def test_a_wrong_language_is_refused(self, anna: Device, language: str, code: str) -> None:
        assert_error(await anna.call("GET", "Announcements", params={"language": language}), 400, code)

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"severity": "Extreme"}, "inputCannotBeParsed"),
            ({"texts": []}, "validation.invalidPropertyValue"),
            ({"texts": [{"language": "de", "title": "t", "body": "b"}]}, "validation.invalidPropertyValue"),
            ({"texts": [{"language": "xx", "title": "t", "body": "b"}]}, "validation.invalidAnnouncementLanguage"),
            ({"texts": [{"language": "en", "title": "", "body": "b"}]}, "validation.invalidPropertyValue"),
            ({"expiresAt": "2020-01-01"}, "validation.invalidPropertyValue"),
            ({"recipients": ["x"]}, "validation.invalidPropertyValue"),
            ({"iqlQuery": "x"}, "validation.nonSilentAnnouncementCannotHaveIqlQuery"),
            ({"iqlQuery": "", "isSilent": True}, "validation.invalidIqlQueryLengthForAnnouncement"),
            ({"actions": [{"displayName": {"de": "x"}, "link": "l"}]}, "validation.invalidPropertyValue"),
            ({"actions": [{"displayName": {"en": "x" * 31}, "link": "l"}]}, "validation.invalidPropertyValue"),
            ({"actions": [{"displayName": {"en": "x"}, "link": "l" * 301}]}, "MaximumLengthValidator"),
        ],
    )
    async def test_a_wrong_announcement_is_refused(
        self, admin: httpx.AsyncClient, change: dict[str, Any], code: str
    ) -> None:
        xsrf = (await admin.get("/api/v1/xsrf")).text
        body = {**self.BODY, **change}
        response = await admin.post("/api/v1/Announcements", json=body, headers={"x-xsrf-token": xsrf})
        assert_error(response, 400, code)

    async def test_an_announcement_is_deleted_by_its_id(self, anna: Device, admin: httpx.AsyncClient) -> None:
        made = await admin_post(admin, "Announcements", {**self.BODY, "recipients": [anna.address]})
        xsrf = (await admin.get("/api/v1/xsrf")).text
        assert result_of(await admin.get(f"/api/v1/Announcements/{made['id']}")) == made
        assert result_of(await admin.get("/api/v1/Announcements")) == [made]
        path, headers = f"/api/v1/Announcements/{made['id']}", {"x-xsrf-token": xsrf}
        assert (await admin.delete(path, headers=headers)).status_code == 204
        assert_error(await admin.delete(path, headers=headers), 404, "recordNotFound")
        assert await anna.get("Announcements", params={"language": "en"}) == []


class TestQuotas:
    """Limits of identities and tiers."""

    async def test_an_exhausted_quota_answers_until_when(self, anna: Device, admin: httpx.AsyncClient) -> None:
        # From the first minutes of an hour on, so that no new one begins in between.
        now = parse(result_of(await admin.get("/api/v1/Development/Clock"))["now"])
        await admin.post("/api/v1/Development/Clock", json={"seconds": 3660 - now // 1000 % 3600})
        await anna.log_in()
        path = f"Identities/{anna.address}/Quotas"
        await admin_post(admin, path, {"metricKey": "NumberOfTokens", "max": 2, "period": "Hour"})
        for _ in range(2):
            await anna.post("Tokens", {"expiresAt": FUTURE})
        error = assert_error(await anna.call("POST", "Tokens", json={"expiresAt": FUTURE}), 429, "quotaExhausted")
        assert [entry["metricKey"] for entry in error["data"]] == ["NumberOfTokens"]
        assert ":59:59.999Z" in error["data"][0]["isExhaustedUntil"]
        assert await anna.get("Quotas") == [
            {
                "metricKey": "NumberOfTokens",
                "quotas": [
                    {"source": "Individual", "metricKey": "NumberOfTokens", "max": 2, "usage": 2, "period": "Hour"}
                ],
            }
        ]

        await admin.post("/api/v1/Development/Clock", json={"seconds": 3600})
        await anna.log_in()
        await anna.post("Tokens", {"expiresAt": FUTURE})

    async def test_own_quotas_override_those_of_the_tier(
        self, anna: Device, bert: Device, admin: httpx.AsyncClient
    ) -> None:
        tiers = result_of(await admin.get("/api/v1/Tiers"))
        basic = next(tier["id"] for tier in tiers if tier["name"] == "Basic")
        quota = {"metricKey": "NumberOfRelationshipTemplates", "period": "Total"}
        made = await admin_post(admin, f"Tiers/{basic}/Quotas", {**quota, "max": 0})
        await admin_post(admin, f"Identities/{anna.address}/Quotas", {**quota, "max": 1})

        await anna.make_template()
        for device in (anna, bert):
            refused = await device.call("POST", "RelationshipTemplates", json={"content": ""})
            assert_error(refused, 429, "quotaExhausted")
        xsrf = (await admin.get("/api/v1/xsrf")).text
        path = f"/api/v1/Tiers/{basic}/Quotas/{made['id']}"
        assert (await admin.delete(path, headers={"x-xsrf-token": xsrf})).status_code == 204
        await bert.make_template()

    async def test_messages_relationships_and_files_are_counted(
        self, anna: Device, bert: Device, make_identity: MakeIdentity, admin: httpx.AsyncClient
    ) -> None:
        await relate(anna, bert)
        await anna.send(bert)
        for metric in ("NumberOfSentMessages", "NumberOfRelationships", "UsedFileStorageSpace"):
            limit = 0 if metric == "UsedFileStorageSpace" else 1
            body = {"metricKey": metric, "max": limit, "period": "Total"}
            await admin_post(admin, f"Identities/{anna.address}/Quotas", body)
        carla = await make_identity()

        assert_error(await anna.send(bert), 429, "quotaExhausted")
        template = {"relationshipTemplateId": await carla.make_template()}
        assert_error(await anna.call("POST", "Relationships", json=template), 429, "quotaExhausted")
        pending = await ask_for_relationship(carla, anna)
        assert_error(await anna.call("PUT", f"Relationships/{pending}/Accept", json={}), 429, "quotaExhausted")
        fields = dict.fromkeys(("cipherHash", "ownerSignature", "encryptedProperties"), "eA")
        upload = await anna.call(
            "POST", "Files", data={**fields, "expiresAt": FUTURE}, files={"content": ("cipher.bin", b"x")}
        )
        assert_error(upload, 429, "quotaExhausted")

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"metricKey": "Other", "max": 1, "period": "Day"}, "quotas.unsupportedMetricKey"),
            ({"metricKey": "NumberOfFiles", "max": -1, "period": "Day"}, "quotas.invalidValueForMaxLimitInQuota"),
            ({"metricKey": "NumberOfFiles", "max": 1, "period": "Never"}, "inputCannotBeParsed"),
            ({"metricKey": "NumberOfFiles", "max": 1, "period": "Week"}, "quotas.duplicateQuota"),
        ],
    )
    async def test_a_wrong_quota_is_refused(
        self, anna: Device, admin: httpx.AsyncClient, body: dict[str, Any], code: str
    ) -> None:
        path = f"Identities/{anna.address}/Quotas"
        await admin_post(admin, path, {"metricKey": "NumberOfFiles", "max": 1, "period": "Week"})
        xsrf = (await admin.get("/api/v1/xsrf")).text
        response = await admin.post(f"/api/v1/{path}", json=body, headers={"x-xsrf-token": xsrf})
        assert_error(response, 400, code)

    async def test_the_quotas_of_the_tier_of_deleted_identities_are_fixed(self, admin: httpx.AsyncClient) -> None:
        xsrf = {"x-xsrf-token": (await admin.get("/api/v1/xsrf")).text}
        path = "/api/v1/Tiers/TIR00000000000000001/Quotas"
        body = {"metricKey": "NumberOfFiles", "max": 1, "period": "Week"}
        for response in (
            await admin.post(path, json=body, headers=xsrf),
            await admin.delete(f"{path}/TQD00000000000000001", headers=xsrf),
        ):
            assert_error(response, 400, "quotas.cannotCreateOrDeleteQuotaOnQueuedForDeletionTier")
        unknown = await admin.post("/api/v1/Tiers/TIRx/Quotas", json=body, headers=xsrf)
        assert_error(unknown, 404, "recordNotFound")

    @pytest.mark.parametrize(
        ("period", "now", "first", "last"),
        [
            ("Hour", "2026-11-24T06:30:00Z", "2026-11-24T06:00:00.000Z", "2026-11-24T06:59:59.999Z"),
            ("Day", "2026-11-24T06:30:00Z", "2026-11-24T00:00:00.000Z", "2026-11-24T23:59:59.999Z"),
            ("Week", "2026-11-29T23:59:59Z", "2026-11-23T00:00:00.000Z", "2026-11-29T23:59:59.999Z"),
            ("Week", "2026-11-23T00:00:00Z", "2026-11-23T00:00:00.000Z", "2026-11-29T23:59:59.999Z"),
            ("Month", "2028-02-29T12:00:00Z", "2028-02-01T00:00:00.000Z", "2028-02-29T23:59:59.999Z"),
            ("Month", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00.000Z", "2026-12-31T23:59:59.999Z"),
            ("Year", "2028-02-29T12:00:00Z", "2028-01-01T00:00:00.000Z", "2028-12-31T23:59:59.999Z"),
            ("Total", "2026-11-24T06:30:00Z", "1970-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"),
        ],
    )
    def test_periods_are_those_of_the_calendar(self, period: str, now: str, first: str, last: str) -> None:
        start, end = Period(period).bounds(parse(now))

        assert (network_text(start), network_text(end)) == (first, last)


class TestTechnical:
    """Documents beside the API."""

    async def test_the_version_is_a_text(self, http: httpx.AsyncClient) -> None:
        assert result_of(await http.get("/api/v2/Version")) == {"majorVersion": "7"}

    async def test_the_server_is_healthy(self, http: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
        for client in (http, admin):
            response = await client.get("/health")
            assert (response.status_code, response.text) == (200, "Healthy")

    async def test_tags_are_cached_by_their_etag(self, http: httpx.AsyncClient) -> None:
        response = await http.get("/api/v2/Tags")
        etag = response.headers["etag"]
        assert result_of(response) == {"supportedLanguages": ["en"], "tagsForAttributeValueTypes": {}}
        for known in (etag, f"W/{etag}", f'"other", {etag}'):
            cached = await http.get("/api/v2/Tags", headers={"If-None-Match": known})
            assert (cached.status_code, cached.content, cached.headers["etag"]) == (304, b"", etag)
        assert (await http.get("/api/v2/Tags", headers={"If-None-Match": '"x"'})).status_code == 200

    async def test_tags_have_the_key_policy_of_the_official_server(self) -> None:
        child = {"displayNames": {"en": "Private"}}
        tags = {
            "supportedLanguages": ["en", "de"],
            "tagsForAttributeValueTypes": {
                "PhoneNumber": {"Emergency": {"displayNames": {"EN": "E"}, "children": {"Private": child}}}
            },
        }
        async with served(tags=tags) as http:
            found = result_of(await http.get("/api/v2/Tags"))
        assert found["tagsForAttributeValueTypes"] == {
            "PhoneNumber": {
                "emergency": {
                    "displayNames": {"eN": "E"},
                    "children": {"Private": {"displayNames": {"en": "Private"}, "children": {}}},
                }
            }
        }

    async def test_public_templates_belong_to_the_client(self) -> None:
        reference = {"title": "t", "description": "d", "truncatedReference": "r"}
        path = "/api/poc/PublicRelationshipTemplateReferences"
        for configured, expected in (({"test": [reference]}, [reference]), ({"other": [reference]}, [])):
            async with served(public_template_references=configured) as http:
                device = await new_identity(http)
                headers = {"Authorization": f"Bearer {device.token}"}
                assert result_of(await http.get(path, headers=headers)) == expected
                assert (await http.get(path)).status_code == 401

    async def test_what_is_not_configured_is_not_there(self, http: httpx.AsyncClient) -> None:
        for path in ("/.well-known/apple-app-site-association", "/.well-known/assetlinks.json", "/r/abc?app=x"):
            response = await http.get(path)
            assert (response.status_code, response.content) == (404, b"")

    async def test_configured_documents_come_without_envelope(self) -> None:
        links: list[dict[str, Any]] = [{"relation": ["delegate_permission/common.handle_all_urls"]}]
        change = {
            "apple_app_site_association": {"applinks": {}},
            "asset_links": links,
            "onboarding_page": "<p>ä</p>",
        }
        async with served(**change) as http:
            assert (await http.get("/.well-known/apple-app-site-association")).json() == {"applinks": {}}
            assert (await http.get("/.well-known/assetlinks.json")).json() == links
            page = await http.get("/r/REFERENCE")
            assert (page.text, page.headers["content-type"]) == ("<p>ä</p>", "text/html; charset=utf-8")


class TestAdminApi:
    """What only the operator may do."""

    async def test_every_path_but_the_first_needs_the_key(self, admin: httpx.AsyncClient) -> None:
        del admin.headers["x-api-key"]
        assert (await admin.get("/api/v1/xsrf")).status_code == 200
        for path in ("Identities", "Announcements", "Development/Clock", "Nothing"):
            for key in (None, "wrong"):
                headers = {} if key is None else {"x-api-key": key}
                response = await admin.get(f"/api/v1/{path}", headers=headers)
                assert (response.status_code, response.content) == (401, b"")

    @pytest.mark.parametrize("path", ["//api/v1/Identities", "///API/V1/identities", "/api/v1/Identities/", "/api/v1/"])
    async def test_no_other_way_to_write_a_path_goes_around_the_key(self, backbone: BackboneServer, path: str) -> None:
        # Bytes as they are: clients make such paths shorter before they send them.
        reader, writer = await asyncio.open_connection("localhost", backbone.settings.admin_port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()

        assert answer.startswith(b"HTTP/1.1 401")

    async def test_a_change_needs_cookie_and_token_of_one_pair(self, admin: httpx.AsyncClient) -> None:
        first = (await admin.get("/api/v1/xsrf")).text
        admin.cookies.clear()
        other = (b"cookie", b"X-XSRF-COOKIE=other")
        alone = (b"x-xsrf-token", first.encode())
        for headers in ([], [alone], [other, alone], [other, (b"x-xsrf-token", b"\xe9")]):
            response = await admin.post("/api/v1/Announcements", json={}, headers=headers)
            assert response.status_code == 400
            assert response.json()["detail"] == "xsrf-token-may-be-invalid"

    async def test_the_whole_set_cookie_value_is_taken_as_cookie(self, admin: httpx.AsyncClient) -> None:
        answer = await admin.get("/api/v1/xsrf")
        headers = {"x-xsrf-token": answer.text, "cookie": answer.headers["set-cookie"]}
        response = await admin.post("/api/v1/Announcements", json={}, headers=headers)
        assert_error(response, 400, "inputCannotBeParsed")

    async def test_identities_are_listed_with_their_devices(
        self, anna: Device, bert: Device, admin: httpx.AsyncClient
    ) -> None:
        found = result_of(await admin.get("/api/v1/Identities"))
        assert [identity["address"] for identity in found] == [anna.address, bert.address]
        assert found[0]["devices"][0]["username"] == anna.username
        one = result_of(await admin.get(f"/api/v1/Identities/{anna.address}"))
        assert one["quotas"] == []
        unknown = await admin.get(f"/api/v1/Identities/{addresses.derive(b'', 'localhost')}")
        assert_error(unknown, 404, "recordNotFound")

    async def test_the_clock_only_moves_forward(self, admin: httpx.AsyncClient) -> None:
        path = "/api/v1/Development/Clock"
        before = result_of(await admin.get(path))
        moved = result_of(await admin.post(path, json={"seconds": 86_400.5}))
        assert (before["offsetInSeconds"], moved["offsetInSeconds"]) == (0, 86_400.5)
        assert parse(moved["now"]) - parse(before["now"]) >= 86_400_500
        for wrong in (-1, 1e18, None):
            response = await admin.post(path, json={"seconds": wrong})
            assert_error(response, 400, "validation.invalidPropertyValue")

    async def test_the_clock_stops_before_the_calendar_ends(self, admin: httpx.AsyncClient, anna: Device) -> None:
        path, most = "/api/v1/Development/Clock", 36_500 * 86_400
        while (moved := await admin.post(path, json={"seconds": most})).status_code == 200:
            pass
        assert_error(moved, 400, "validation.invalidPropertyValue")

        await anna.log_in()
        assert (await anna.get("Identities/Self"))["address"] == anna.address

    async def test_the_clock_is_remembered_by_its_database(self, tmp_path: Any) -> None:
        settings = replace(Settings(), port=0, admin_port=0, data=str(tmp_path / "backbone.db"))
        for expected in (0, 60, 120):
            async with BackboneServer(settings) as server, open_http(server.admin_url) as admin:
                admin.headers["x-api-key"] = "test"
                path = "/api/v1/Development/Clock"
                assert result_of(await admin.get(path))["offsetInSeconds"] == expected
                await admin.post(path, json={"seconds": 60})

    async def test_housekeeping_removes_what_is_long_over(
        self, anna: Device, bert: Device, admin: httpx.AsyncClient, backbone: BackboneServer
    ) -> None:
        for _ in range(2):
            await anna.post("Tokens", {"expiresAt": FUTURE})
        soon = network_text(backbone.backbone.services.clock.now_ms() + 1_000)
        await anna.post("Tokens", {"expiresAt": soon})
        await anna.make_template(expiresAt=soon)
        await relate(anna, bert)
        await bert.events()
        counts = result_of(await admin.post("/api/v1/Development/Housekeeping"))
        assert set(counts.values()) == {0}

        await admin.post("/api/v1/Development/Clock", json={"seconds": 31 * 86_400})
        counts = result_of(await admin.post("/api/v1/Development/Housekeeping"))
        assert (counts["tokens"], counts["relationshipTemplates"], counts["syncRuns"]) == (1, 1, 3)
        assert backbone.rows("SELECT count(*) AS n FROM external_events WHERE is_synced") == [{"n": 0}]
        await bert.log_in()
        assert (await bert.start_sync())["status"] == "NoNewEvents"

    async def test_small_reads_answer(self, admin: httpx.AsyncClient) -> None:
        assert len(result_of(await admin.get("/api/v1/Metrics"))) == 10
        assert [client["clientId"] for client in result_of(await admin.get("/api/v1/Clients"))] == ["test"]
        assert (await admin.get("/api/v1/ValidateApiKey")).json() == {"isValid": True}

    async def test_an_empty_key_lets_everybody_in(self) -> None:
        settings = replace(Settings(), port=0, admin_port=0, admin_api_key="")
        async with BackboneServer(settings) as server, open_http(server.admin_url) as admin:
            assert (await admin.get("/api/v1/Identities")).status_code == 200
