"""The field rules (`buf.validate`) as a module: another installation's, else a copy.

A process may hold a proto file once. So the copy does not have the public name, and is not loaded beside another.
"""

try:
    from buf.validate import validate_pb2
except ImportError:
    from enmeshed.connector._rules import _validate_pb2 as validate_pb2

__all__ = ["validate_pb2"]
