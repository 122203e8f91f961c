"""Which processor belongs to which type of item."""

from __future__ import annotations

from enmeshed_connector.consumption.attributes.controller import AttributeController
from enmeshed_connector.consumption.requests.processors.answers import Answers
from enmeshed_connector.consumption.requests.processors.base import ItemProcessor
from enmeshed_connector.consumption.requests.processors.create_attribute import CreateAttributeProcessor
from enmeshed_connector.consumption.requests.processors.delete_attribute import DeleteAttributeProcessor
from enmeshed_connector.consumption.requests.processors.form_field import FormFieldProcessor
from enmeshed_connector.consumption.requests.processors.propose_attribute import ProposeAttributeProcessor
from enmeshed_connector.consumption.requests.processors.read_attribute import ReadAttributeProcessor
from enmeshed_connector.consumption.requests.processors.received import Received
from enmeshed_connector.consumption.requests.processors.share_attribute import ShareAttributeProcessor
from enmeshed_connector.consumption.requests.processors.share_authorization_request import (
    ShareAuthorizationRequestProcessor,
)
from enmeshed_connector.consumption.requests.processors.share_credential_offer import ShareCredentialOfferProcessor
from enmeshed_connector.consumption.requests.processors.transfer_file_ownership import TransferFileOwnershipProcessor
from enmeshed_connector.consumption.requests.processors.unknown import UnknownItemProcessor
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.files import FileController


class Processors:
    """The processors of one account."""

    def __init__(self, context: AccountContext, attributes: AttributeController, files: FileController) -> None:
        """Takes the account, who keeps its attributes, and who keeps its files."""
        answers, received = Answers(context, attributes), Received(context, attributes)
        self._unknown = UnknownItemProcessor()
        self._by_type: dict[str, ItemProcessor] = {
            "AuthenticationRequestItem": ItemProcessor(),
            "ConsentRequestItem": ItemProcessor(),
            "CreateAttributeRequestItem": CreateAttributeProcessor(context, attributes, answers, received),
            "DeleteAttributeRequestItem": DeleteAttributeProcessor(context, attributes, received),
            "FormFieldRequestItem": FormFieldProcessor(),
            "ProposeAttributeRequestItem": ProposeAttributeProcessor(context, attributes, answers, received),
            "ReadAttributeRequestItem": ReadAttributeProcessor(context, attributes, answers, received),
            "ShareAttributeRequestItem": ShareAttributeProcessor(context, attributes),
            "ShareAuthorizationRequestRequestItem": ShareAuthorizationRequestProcessor(),
            "ShareCredentialOfferRequestItem": ShareCredentialOfferProcessor(),
            "TransferFileOwnershipRequestItem": TransferFileOwnershipProcessor(context, attributes, files, received),
        }

    def for_item(self, item: JsonObject) -> ItemProcessor:
        """Returns the processor of an item, not of a group; for an unknown type one that lets it be rejected only."""
        name = item.get("@type")
        return self._by_type.get(name, self._unknown) if isinstance(name, str) else self._unknown
