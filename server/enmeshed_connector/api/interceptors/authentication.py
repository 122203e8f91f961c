"""Who calls, and for which account."""

from __future__ import annotations

from enmeshed_connector.api.accounts import AccountChoice
from enmeshed_connector.api.authentication import Authenticator
from enmeshed_connector.api.calls import Call
from enmeshed_connector.api.interceptors.steps import Step


class Authentication(Step):
    """Finds the credential of a call, and the account that it acts on."""

    def __init__(self, authenticator: Authenticator, accounts: AccountChoice) -> None:
        """Takes its collaborators.

        Args:
            authenticator: Knows credentials.
            accounts: Knows accounts.
        """
        self._authenticator = authenticator
        self._accounts = accounts

    async def enter(self, call: Call) -> None:
        """Sets `credential` and `account` of the call.

        Raises:
            CredentialMissing: There is none.
            CredentialInvalid: It is not good; delayed after repeated failures.
            TooManyFailedAttempts: It is not good, and neither were many before.
            AccountRequired: The call has to name an account.
            AccountNotFound: There is no such account.
            AccountDenied: The credential is bound to another account.
            Starting: The account is not ready yet.
        """
        if call.method.is_public:
            return
        call.credential = await self._authenticator.authenticate(call.metadata, call.peer_host)
        if call.method.needs_account:
            call.account = self._accounts.choose(call.credential, call.metadata)
