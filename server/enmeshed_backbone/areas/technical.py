"""Version, health, tags and the few documents beside the API.

Source: specification of the Consumer API, §18 and §20.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson

from ..http.call import Auth, Call, Reply, Route, ok
from ..store import Transaction

_JSON = "application/json; charset=utf-8"


def version(call: Call, transaction: Transaction) -> Reply:
    """Answers the major version, as text."""
    return ok({"majorVersion": str(call.services.settings.major_version)})


def health(call: Call, transaction: Transaction) -> Reply:
    """Answers that the server and its database are there."""
    transaction.one("SELECT 1 FROM meta")
    return Reply(200, raw=("text/plain", b"Healthy"))


def tags(call: Call, transaction: Transaction) -> Reply:
    """Answers the tag collection, or 304 to a client that has this very one."""
    body = orjson.dumps({"result": tag_collection(call.services.settings.tags)})
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode("ascii")
    etag = f'"{digest}"'
    headers = (("etag", etag),)
    known = call.headers.get(b"if-none-match", b"").decode("latin-1").split(",")
    if any(tag.strip().removeprefix("W/") == etag for tag in known):
        return Reply(304, raw=("", b""), headers=headers)
    return Reply(200, raw=(_JSON, body), headers=headers)


def tag_collection(configured: Any) -> dict[str, Any]:
    """Returns the collection with the key policy of the official server and `children` at every tag.

    First-level keys and those of `children` stay as they are; tags of the second level and languages begin in lower
    case.
    """
    by_type = configured.get("tagsForAttributeValueTypes", {})
    return {
        "supportedLanguages": list(configured["supportedLanguages"]),
        "tagsForAttributeValueTypes": {
            value_type: {_lower_first(name): _tag(tag) for name, tag in tags_of_type.items()}
            for value_type, tags_of_type in by_type.items()
        },
    }


def _tag(tag: Any) -> dict[str, Any]:
    return {
        "displayNames": {_lower_first(language): text for language, text in tag["displayNames"].items()},
        "children": {name: _tag(child) for name, child in tag.get("children", {}).items()},
    }


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]


def public_templates(call: Call, transaction: Transaction) -> Reply:
    """Answers the public templates of the caller's OAuth client."""
    references = call.services.settings.public_template_references
    return ok([dict(item) for item in references.get(call.me.client_id, [])])


def apple_app_site_association(call: Call, transaction: Transaction) -> Reply:
    """Answers the document for iOS apps, when there is one."""
    return _document(call.services.settings.apple_app_site_association)


def asset_links(call: Call, transaction: Transaction) -> Reply:
    """Answers the document for Android apps, when there is one."""
    return _document(call.services.settings.asset_links)


def onboarding_page(call: Call, transaction: Transaction) -> Reply:
    """Answers the page behind scanned references, when there is one."""
    page = call.services.settings.onboarding_page
    if page is None:
        return Reply(404, raw=("", b""))
    return Reply(200, raw=("text/html; charset=utf-8", page.encode()))


def _document(value: Any) -> Reply:
    return Reply(404, raw=("", b"")) if value is None else Reply(200, raw=(_JSON, orjson.dumps(value)))


HEALTH_ROUTES = (Route("GET", "/health", health, auth=Auth.NONE),)

ROUTES = (
    Route("GET", "/api/v2/Version", version, auth=Auth.OPTIONAL),
    Route("GET", "/api/v2/Tags", tags, auth=Auth.OPTIONAL),
    Route("GET", "/api/poc/PublicRelationshipTemplateReferences", public_templates),
    Route("GET", "/.well-known/apple-app-site-association", apple_app_site_association, auth=Auth.NONE),
    Route("GET", "/.well-known/assetlinks.json", asset_links, auth=Auth.NONE),
    Route("GET", "/r/{reference}", onboarding_page, auth=Auth.NONE),
    *HEALTH_ROUTES,
)
