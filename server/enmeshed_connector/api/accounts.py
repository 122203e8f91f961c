"""Which account a call acts on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final, Protocol

from enmeshed_connector.api.calls import Credential
from enmeshed_connector.api.errors import AccountDenied, AccountNotFound, AccountRequired, Starting

ACCOUNT: Final = "x-account"
"""Metadata: the name of the account."""


class AccountDirectory(Protocol):
    """What this room needs to know of the hosted accounts."""

    def names(self) -> Collection[str]:
        """Returns the names of all hosted accounts."""

    def is_ready(self, name: str) -> bool:
        """Tells whether a hosted account takes calls."""


class AccountChoice:
    """Chooses the account of a call: the credential's, or the one that `x-account` names, or the only one."""

    def __init__(self, directory: AccountDirectory) -> None:
        """Takes what knows the accounts.

        Args:
            directory: Knows the accounts.
        """
        self._directory = directory

    def choose(self, credential: Credential, metadata: Mapping[str, str]) -> str:
        """Returns the name of the account.

        Args:
            credential: Who calls.
            metadata: The metadata of the call.

        Raises:
            AccountRequired: None is named and there are several.
            AccountNotFound: The one that is named is not hosted here.
            AccountDenied: The credential is bound to another one; said whether or not the named one exists.
            Starting: The account is not ready yet.
        """
        named = metadata.get(ACCOUNT) or None
        names = self._directory.names()
        if credential.account is not None:
            if named not in (None, credential.account):
                raise AccountDenied(f"the key is bound to another account than {ACCOUNT} names")
            chosen = credential.account
        elif named is not None:
            chosen = named
        elif len(names) == 1:
            (chosen,) = names
        else:
            raise AccountRequired(f"the server hosts {len(names)} accounts: name one in the metadata {ACCOUNT}")
        if chosen not in names:
            raise AccountNotFound("this server does not host that account", facts={"account": chosen[:100]})
        if not self._directory.is_ready(chosen):
            raise Starting(
                "the account is starting: try again", facts={"account": chosen}, retry_after=timedelta(seconds=1)
            )
        return chosen
