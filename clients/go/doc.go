// Package client is a thin client of the enmeshed gRPC Connector: credentials on every call, errors with reasons, pages,
// transfers with digests, and events that survive a lost connection. The stubs lie in gen/enmeshed/connector/v1 and
// gen/enmeshed/content/v1.
package client
