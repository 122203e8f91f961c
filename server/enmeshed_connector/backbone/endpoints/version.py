"""The version of the Backbone."""

from __future__ import annotations

from enmeshed_connector.backbone.calls import Call, Caller, Repeat, path_of
from enmeshed_connector.backbone.wire import Fields, WireError, one


class Version:
    """Reads the version. Anonymous callers may, too."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def major(self) -> int:
        """Returns the major version, which decides whether this software fits."""
        return await self._caller.call(Call("version.major", "GET", path_of("Version"), one(_major), Repeat.SAFE))


def _major(fields: Fields) -> int:
    # It travels as a text; a number is what official clients would accept as well.
    value = fields.members.get("majorVersion")
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise WireError("result.majorVersion is not a number")
