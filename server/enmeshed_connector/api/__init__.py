"""The gRPC side of the Connector: servicers, interceptors, conversion between protobuf and documents, error mapping."""
