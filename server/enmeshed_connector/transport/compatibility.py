"""Whether the Backbone speaks what this Connector speaks.

Source: transport.md, section 23.
"""

from __future__ import annotations

from dataclasses import dataclass

from enmeshed_connector.backbone.calls import Caller
from enmeshed_connector.backbone.endpoints.version import Version
from enmeshed_connector.transport.errors import BackboneNotCompatible


@dataclass(frozen=True)
class Compatibility:
    """The Backbone's major version, and the range that is spoken here."""

    backbone_version: int
    minimum_version: int
    maximum_version: int

    @property
    def is_compatible(self) -> bool:
        """Whether the version is in the range."""
        return self.minimum_version <= self.backbone_version <= self.maximum_version

    def check(self) -> None:
        """Returns when the Backbone is compatible.

        Raises:
            BackboneNotCompatible: It is older or newer.
        """
        if not self.is_compatible:
            raise BackboneNotCompatible(
                f"The Backbone has version {self.backbone_version}, "
                f"and versions {self.minimum_version} to {self.maximum_version} are supported.",
                facts={
                    "backboneVersion": str(self.backbone_version),
                    "minimumVersion": str(self.minimum_version),
                    "maximumVersion": str(self.maximum_version),
                },
            )


async def read_compatibility(caller: Caller, *, minimum: int, maximum: int) -> Compatibility:
    """Asks the Backbone for its version; credentials are not needed.

    Raises:
        BackboneError: It cannot be asked.
    """
    return Compatibility(await Version(caller).major(), minimum, maximum)
