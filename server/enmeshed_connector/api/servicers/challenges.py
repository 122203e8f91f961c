"""The service Challenges."""

from __future__ import annotations

from typing import Any

import grpc

from enmeshed.connector.v1 import challenges_service_pb2 as pb
from enmeshed.connector.v1 import challenges_service_pb2_grpc
from enmeshed_connector.api.conversion.values import enum_word, set_time
from enmeshed_connector.api.servicers.common import Servicer

Context = grpc.aio.ServicerContext[Any, Any]


class ChallengesServicer(Servicer, challenges_service_pb2_grpc.ChallengesServicer):
    """Proofs of who somebody is."""

    async def CreateChallenge(self, request: pb.CreateChallengeRequest, context: Context) -> pb.CreateChallengeResponse:
        """Returns a signed challenge."""
        view = await self.use_cases().account.create_challenge(
            enum_word(pb.ChallengeType, "CHALLENGE_TYPE", request.type), request.relationship_id or None
        )
        challenge = pb.Challenge(
            id=view["id"],
            created_by=view.get("createdBy", ""),
            created_by_device=view.get("createdByDevice", ""),
            type=request.type,
            signature=view["signature"],
            challenge_string=view["challengeString"],
        )
        set_time(challenge.expire_time, view["expiresAt"])
        return pb.CreateChallengeResponse(challenge=challenge)

    async def ValidateChallenge(
        self, request: pb.ValidateChallengeRequest, context: Context
    ) -> pb.ValidateChallengeResponse:
        """Checks the proof of a peer."""
        is_valid, relationship = await self.use_cases().account.validate_challenge(
            request.challenge_string, request.signature
        )
        response = pb.ValidateChallengeResponse(is_valid=is_valid)
        if relationship is not None:
            response.corresponding_relationship.CopyFrom(self.converter().relationship(relationship))
        return response
