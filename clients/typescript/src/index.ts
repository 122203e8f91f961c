/** A thin client of the enmeshed gRPC Connector: typed calls, typed errors, paging, and events that survive a lost connection. */

export type { CallOptions, Client } from "./client.js";
export { Connector, type ConnectorOptions, idempotencyKey } from "./connector.js";
export { ConnectorError, type FieldViolation } from "./errors.js";
export type { FollowOptions, ReceivedEvent } from "./events.js";
export { type Download, type DownloadFrame, download, upload } from "./transfers.js";
