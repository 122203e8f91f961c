"""How calls of the contract are answered that this server does not serve yet; the README names them."""

from __future__ import annotations

from enmeshed_connector.core.errors import Code, DomainError


class NotOffered(DomainError):
    """The contract has this call, and this server does not serve it."""

    reason, code = "UNIMPLEMENTED", Code.UNIMPLEMENTED
