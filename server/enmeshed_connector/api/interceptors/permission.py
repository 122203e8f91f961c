"""Whether the caller may make the call at all."""

from __future__ import annotations

from enmeshed_connector.api.calls import Call, permission_denied
from enmeshed_connector.api.interceptors.steps import Step


class Permission(Step):
    """Checks the row of the permission table.

    What depends on the request is checked by the servicers (`Call.require`).
    """

    async def enter(self, call: Call) -> None:
        """Lets the call in.

        Raises:
            PermissionDenied: The caller lacks one of the permissions.
        """
        missing = call.scopes.missing(call.method.permissions)
        if missing is not None:
            raise permission_denied(missing)
