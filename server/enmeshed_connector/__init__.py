"""The enmeshed gRPC Connector: an organisation's digital identity behind a gRPC service."""
