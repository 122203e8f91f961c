from enmeshed.connector._rules import _validate_pb2 as validate_pb2

__all__ = ["validate_pb2"]
