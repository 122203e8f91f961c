"""Reflection with the names that fields have in JSON.

`protoc` leaves those names out of the descriptors in Python stubs, and `grpcurl` then prints `next_page_token` where
the JSON of protobuf, the documentation and every other client say `nextPageToken`.
"""

from __future__ import annotations

from collections.abc import Iterable

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor, FileDescriptor
from grpc_reflection.v1alpha import reflection


def serve_reflection(server: grpc.aio.Server, services: Iterable[str]) -> None:
    """Adds reflection to a server.

    Args:
        server: The server.
        services: The full names of what it serves.
    """
    reflection.enable_server_reflection(services, server, pool=_NamedPool(descriptor_pool.Default()))


class _NamedPool:
    """Finds what the servicer of reflection asks a pool for; the files that it gives have the names of JSON."""

    def __init__(self, pool: descriptor_pool.DescriptorPool) -> None:
        self._pool = pool
        self.FindMessageTypeByName = pool.FindMessageTypeByName
        self.FindExtensionByNumber = pool.FindExtensionByNumber
        self.FindAllExtensions = pool.FindAllExtensions

    def FindFileByName(self, name: str) -> _NamedFile:
        return _NamedFile(self._pool.FindFileByName(name))

    def FindFileContainingSymbol(self, symbol: str) -> _NamedFile:
        return _NamedFile(self._pool.FindFileContainingSymbol(symbol))


class _NamedFile:
    """A file of a pool, as the servicer of reflection reads it."""

    def __init__(self, file: FileDescriptor) -> None:
        self._file = file
        self.name = file.name

    @property
    def dependencies(self) -> list[_NamedFile]:
        return [_NamedFile(file) for file in self._file.dependencies]

    def CopyToProto(self, proto: descriptor_pb2.FileDescriptorProto) -> None:
        self._file.CopyToProto(proto)
        for message in proto.message_type:
            _name_fields(message, self._file.message_types_by_name[message.name])


def _name_fields(proto: descriptor_pb2.DescriptorProto, message: Descriptor) -> None:
    for field in proto.field:
        field.json_name = message.fields_by_name[field.name].json_name
    for nested in proto.nested_type:
        _name_fields(nested, message.nested_types_by_name[nested.name])
