"""Who is trusted, what is refused, and which way the requests take: with real TLS and a real proxy on loopback."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType

import pytest

from enmeshed_connector.backbone import BackboneHttp, HttpSettings, InsecureAddress, proxy_from_environment
from enmeshed_connector.backbone.errors import AnswerLost, BackboneUnavailable
from tests.enmeshed_connector.backbone.conftest import Client, ClientMaker
from tests.enmeshed_connector.backbone.samples import CHALLENGE, CHALLENGE_ID, NEW_MESSAGE
from tests.support.scripted_http import ScriptedServer, hang_up, result
from tests.support.self_signed import ServerCertificate, make_certificate


class Proxy:
    """A real HTTP proxy: absolute requests for http, CONNECT for https, with a user and a password if wanted.

    Attributes:
        asked: The first line of each request.
        connections: Of clients.
    """

    def __init__(self, credentials: str | None = None) -> None:
        self.port = 0
        self.asked: list[str] = []
        self._expected = None if credentials is None else "Basic " + base64.b64encode(credentials.encode()).decode()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first = head.split("\r\n", 1)[0]
            self.asked.append(first)
            method, target, _ = first.split(" ")
            if self._expected is not None and f"Proxy-Authorization: {self._expected}" not in head:
                writer.write(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            # Every name leads here, as with a proxy that knows names that we do not.
            port = int(target.rsplit(":", 1)[1].split("/")[0])
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Go ahead\r\n\r\n")
            else:
                path = "/" + target.split("/", 3)[3]
                upstream_writer.write(head.replace(target, path, 1).encode())
            try:
                await asyncio.gather(carry(reader, upstream_writer), carry(upstream_reader, writer))
            finally:
                upstream_writer.close()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ServerCertificate:
    return make_certificate(
        tmp_path_factory.mktemp("certificates"), names="DNS:localhost,DNS:backbone.test,IP:127.0.0.1"
    )


@pytest.fixture
async def tls_server(certificate: ServerCertificate) -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer(certificate.server_context()) as server:
        yield server


async def asks(make_client: ClientMaker, settings: HttpSettings, base_url: str) -> str:
    """Returns the id of a challenge, made with these settings."""
    async with BackboneHttp(settings) as http:
        return (await make_client(base_url, own_http=http).backbone.challenges.create()).id


async def test_an_unknown_authority_is_refused_before_anything_is_sent(
    client: Client, make_client: ClientMaker, tls_server: ScriptedServer
) -> None:
    own = make_client(tls_server.base_url)
    with pytest.raises(BackboneUnavailable) as caught:
        await own.backbone.messages.send(NEW_MESSAGE)
    assert caught.value.facts["cause"] == "tls"
    assert not caught.value.may_be_done
    assert tls_server.requests == tls_server.logins == []


async def test_a_configured_authority_is_trusted(
    make_client: ClientMaker, tls_server: ScriptedServer, certificate: ServerCertificate
) -> None:
    tls_server.script(result(CHALLENGE))
    assert await asks(make_client, HttpSettings(ca_file=certificate.authority), tls_server.base_url) == CHALLENGE_ID


async def test_a_trusted_certificate_of_another_name_is_refused(
    make_client: ClientMaker, tls_server: ScriptedServer, certificate: ServerCertificate
) -> None:
    settings = HttpSettings(ca_file=certificate.authority)
    with pytest.raises(BackboneUnavailable) as caught:
        await asks(make_client, settings, f"https://127.0.0.2:{tls_server.port}")
    # The server listens on 127.0.0.1 alone where loopback has a single address; either way nothing is sent.
    assert caught.value.facts["cause"] in {"tls", "network"}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_verification_is_skipped_on_loopback_when_the_loud_setting_says_so(
    make_client: ClientMaker, tls_server: ScriptedServer, host: str
) -> None:
    tls_server.script(result(CHALLENGE))
    settings = HttpSettings(dangerously_skip_tls_verification_on_loopback=True)
    assert await asks(make_client, settings, f"https://{host}:{tls_server.port}") == CHALLENGE_ID


async def test_the_loud_setting_does_not_reach_any_other_host(
    make_client: ClientMaker, tls_server: ScriptedServer
) -> None:
    async with Proxy() as proxy:
        settings = HttpSettings(
            dangerously_skip_tls_verification_on_loopback=True, proxy_url=f"http://127.0.0.1:{proxy.port}"
        )
        with pytest.raises(BackboneUnavailable) as caught:
            await asks(make_client, settings, f"https://backbone.test:{tls_server.port}")
    assert caught.value.facts["cause"] == "tls"
    assert tls_server.requests == tls_server.logins == []


async def test_certificates_that_cannot_be_read_are_found_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        BackboneHttp(HttpSettings(ca_file=tmp_path / "missing.pem"))
    (tmp_path / "empty.pem").write_text("no certificate")
    with pytest.raises(OSError):
        BackboneHttp(HttpSettings(ca_file=tmp_path / "empty.pem"))


async def test_plain_http_leaves_the_machine_only_when_a_loud_setting_says_so(make_client: ClientMaker) -> None:
    with pytest.raises(InsecureAddress, match="dangerously_allow_plain_http"):
        make_client("http://backbone.example.com")
    async with BackboneHttp(HttpSettings(dangerously_allow_plain_http=True)) as http:
        make_client("http://backbone.example.com", own_http=http)
    for address in ("http://localhost:8090", "http://127.0.0.1", "http://[::1]:1", "https://backbone.example.com/base"):
        make_client(address)


@pytest.mark.parametrize(
    "address", ["", "localhost", "ftp://x", "https://", "https://u:p@host", "https://h?q", "https://h#f"]
)
async def test_an_address_that_is_none_is_refused(make_client: ClientMaker, address: str) -> None:
    with pytest.raises(ValueError, match="address of the Backbone"):
        make_client(address)


async def test_https_goes_through_the_proxy_by_connect_and_stays_verified_to_its_end(
    make_client: ClientMaker, tls_server: ScriptedServer, certificate: ServerCertificate
) -> None:
    tls_server.script(result(CHALLENGE))
    async with Proxy() as proxy:
        settings = HttpSettings(ca_file=certificate.authority, proxy_url=f"http://127.0.0.1:{proxy.port}")
        assert await asks(make_client, settings, f"https://backbone.test:{tls_server.port}") == CHALLENGE_ID
    assert proxy.asked == [f"CONNECT backbone.test:{tls_server.port} HTTP/1.1"]


async def test_credentials_of_the_proxy_go_to_the_proxy_alone(
    make_client: ClientMaker, tls_server: ScriptedServer, certificate: ServerCertificate
) -> None:
    tls_server.script(result(CHALLENGE))
    async with Proxy("some user:p@ss") as proxy:
        settings = HttpSettings(
            ca_file=certificate.authority, proxy_url=f"http://some%20user:p%40ss@127.0.0.1:{proxy.port}"
        )
        assert "p%40ss" not in repr(settings)
        assert await asks(make_client, settings, f"https://backbone.test:{tls_server.port}") == CHALLENGE_ID
    assert all("proxy-authorization" not in request.headers for request in tls_server.logins + tls_server.requests)


async def test_plain_http_goes_through_the_proxy_as_an_absolute_request(
    make_client: ClientMaker, server: ScriptedServer
) -> None:
    server.script(result(CHALLENGE, headers={"Connection": "close"}))
    async with Proxy("user:password") as proxy:
        settings = HttpSettings(
            dangerously_allow_plain_http=True, proxy_url=f"http://user:password@127.0.0.1:{proxy.port}"
        )
        assert await asks(make_client, settings, f"http://backbone.test:{server.port}") == CHALLENGE_ID
    assert proxy.asked[0] == f"POST http://backbone.test:{server.port}/connect/token HTTP/1.1"


async def test_a_proxy_that_refuses_means_that_nothing_was_sent(
    make_client: ClientMaker, tls_server: ScriptedServer
) -> None:
    async with Proxy("user:password") as proxy:
        settings = HttpSettings(proxy_url=f"http://user:wrong@127.0.0.1:{proxy.port}")
        async with BackboneHttp(settings) as http:
            client = make_client(f"https://backbone.test:{tls_server.port}", own_http=http)
            with pytest.raises(BackboneUnavailable) as caught:
                await client.backbone.messages.send(NEW_MESSAGE)
    assert caught.value.facts["cause"] == "proxy"
    assert not caught.value.may_be_done
    assert "wrong" not in str(caught.value)


async def test_a_proxy_that_is_away_means_that_nothing_was_sent(make_client: ClientMaker) -> None:
    async with Proxy() as proxy:
        gone = f"http://127.0.0.1:{proxy.port}"
    with pytest.raises(BackboneUnavailable) as caught:
        await asks(make_client, HttpSettings(proxy_url=gone), "https://backbone.test")
    assert caught.value.facts["cause"] == "proxy"


async def test_an_answer_lost_behind_a_proxy_is_lost_all_the_same(
    make_client: ClientMaker, tls_server: ScriptedServer, certificate: ServerCertificate
) -> None:
    async with Proxy() as proxy:
        settings = HttpSettings(ca_file=certificate.authority, proxy_url=f"http://127.0.0.1:{proxy.port}")
        async with BackboneHttp(settings) as http:
            client = make_client(f"https://backbone.test:{tls_server.port}", own_http=http)
            tls_server.script(result(CHALLENGE), hang_up)
            await client.backbone.challenges.create()
            with pytest.raises(AnswerLost):
                await client.backbone.messages.send(NEW_MESSAGE)


@pytest.mark.parametrize(
    ("exceptions", "goes_direct"),
    [
        (("backbone.test",), True),
        ((".test",), True),
        (("*.test",), True),
        (("test.org", "backbone.test"), True),
        (("*",), True),
        (("other.test",), False),
        (("ackbone.test",), False),
        ((), False),
    ],
)
async def test_hosts_without_a_proxy_are_reached_directly(
    make_client: ClientMaker, exceptions: tuple[str, ...], goes_direct: bool
) -> None:
    async with Proxy() as proxy:
        settings = HttpSettings(proxy_url=f"http://127.0.0.1:{proxy.port}", no_proxy=exceptions)
        with pytest.raises(BackboneUnavailable) as caught:
            await asks(make_client, settings, "https://backbone.test:1")
    # Our own resolver does not know the name; the proxy does, and finds nobody there.
    assert caught.value.facts["cause"] == ("address" if goes_direct else "network")
    assert not caught.value.may_be_done
    assert (proxy.asked == []) is goes_direct


async def test_loopback_never_goes_through_the_proxy(make_client: ClientMaker, server: ScriptedServer) -> None:
    server.script(result(CHALLENGE))
    async with Proxy() as proxy:
        settings = HttpSettings(proxy_url=f"http://127.0.0.1:{proxy.port}")
        assert await asks(make_client, settings, server.base_url) == CHALLENGE_ID
    assert proxy.asked == []


async def test_the_environment_is_read_only_when_it_is_handed_in(
    make_client: ClientMaker, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    server.script(result(CHALLENGE))
    settings = HttpSettings(dangerously_allow_plain_http=True)
    assert await asks(make_client, settings, server.base_url) == CHALLENGE_ID


def test_the_usual_variables_name_the_proxy() -> None:
    assert proxy_from_environment({}) == (None, ())
    assert proxy_from_environment({"HTTPS_PROXY": "http://p:1", "no_proxy": "a.test, .b.test,"}) == (
        "http://p:1",
        ("a.test", ".b.test"),
    )
    assert proxy_from_environment({"all_proxy": "http://p:2", "HTTPS_PROXY": ""}) == ("http://p:2", ())


@pytest.mark.parametrize("url", ["socks5://p:1", "https://p:1", "http://", "http://:1"])
def test_a_proxy_of_another_kind_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="proxy"):
        BackboneHttp(HttpSettings(proxy_url=url))
