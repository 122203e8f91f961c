"""Feature flags: what an identity tells its peers about the abilities of its software."""

from __future__ import annotations

from collections.abc import Mapping

from enmeshed_connector.backbone.calls import Call, Caller, Repeat, nothing, path_of
from enmeshed_connector.backbone.wire import Fields, WireError, encode_json, one
from enmeshed_connector.core.addresses import Address


class FeatureFlags:
    """Sets the own flags and reads those of peers."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def set(self, flags: Mapping[str, bool]) -> None:
        """Adds or overwrites own flags and leaves the others; peers get an event each time.

        Raises:
            BackboneRejected: `validation.featureFlag.maxNumberOfFeatureFlagsExceeded` (200).
        """
        await self._caller.call(
            Call(
                "feature_flags.set",
                "PATCH",
                path_of("Identities", "Self", "FeatureFlags"),
                nothing,
                Repeat.SAFE,
                body=encode_json(dict(flags)),
            )
        )

    async def of(self, address: Address) -> Mapping[str, bool]:
        """Returns the flags of an identity; the Backbone writes the first letter of a name in lower case.

        Raises:
            RecordNotFound: Unknown, or neither a peer nor the creator of a loaded template.
        """
        return await self._caller.call(
            Call("feature_flags.of", "GET", path_of("Identities", address, "FeatureFlags"), one(_flags), Repeat.SAFE)
        )


def _flags(fields: Fields) -> Mapping[str, bool]:
    if not all(isinstance(value, bool) for value in fields.members.values()):
        raise WireError("result holds something else than booleans")
    return dict(fields.members)
