/** The errors of calls: a status of the Connector with everything that it tells. */

import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { type Status, StatusSchema } from "./gen/google/rpc/status_pb.js";

/** One field of a request and what is wrong with it. */
export interface FieldViolation {
    readonly field: string;
    readonly description: string;
}

/** A call that the Connector refused, or that did not reach it. */
export class ConnectorError extends Error {
    override readonly name = "ConnectorError";

    /** The gRPC status. */
    readonly code: status;
    /** The text, without the reason. */
    readonly details: string;
    /**
     * Why, in a word of the contract's `ErrorReason` (`RELATIONSHIP_NOT_ACTIVE`); empty when the status did not come from the
     * Connector, such as UNAVAILABLE of a lost connection.
     */
    readonly reason: string;
    /** What varies in the text. */
    readonly facts: Readonly<Record<string, string>>;
    /** Fields that are wrong. */
    readonly violations: readonly FieldViolation[];
    /** When a repeat makes sense, in milliseconds. */
    readonly retryAfterMs: number | undefined;
    /** What to look for in the Connector's log; empty when nothing came back. */
    readonly correlationId: string;

    constructor(
        code: status,
        details: string,
        told: Partial<Pick<ConnectorError, "reason" | "facts" | "violations" | "retryAfterMs" | "correlationId">> = {},
        options?: ErrorOptions,
    ) {
        super(`${told.reason || status[code]}: ${details}`, options);
        this.code = code;
        this.details = details;
        this.reason = told.reason ?? "";
        this.facts = told.facts ?? {};
        this.violations = told.violations ?? [];
        this.retryAfterMs = told.retryAfterMs;
        this.correlationId = told.correlationId ?? "";
    }

    /** The code of the official Connector for the same situation (`error.transport.…`), where one exists. */
    get officialCode(): string | undefined {
        return this.facts["code"];
    }

    /**
     * Returns what a failed call tells. Errors that are not of a call are returned unchanged.
     *
     * @param error What the call threw.
     * @param initial The initial metadata of the call, where it came.
     */
    static of(error: unknown, initial?: Metadata): unknown {
        if (!isServiceError(error)) {
            return error;
        }
        const details = readStatus(error.metadata);
        const info = find(details, ErrorInfoSchema);
        const delay = find(details, RetryInfoSchema)?.retryDelay;
        return new ConnectorError(
            error.code,
            error.details,
            {
                reason: info?.reason ?? "",
                facts: info?.metadata ?? {},
                violations: find(details, BadRequestSchema)?.fieldViolations ?? [],
                retryAfterMs: delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6,
                correlationId: first(initial, "x-correlation-id") ?? first(error.metadata, "x-correlation-id") ?? "",
            },
            { cause: error },
        );
    }
}

function isServiceError(error: unknown): error is ServiceError {
    return error instanceof Error && "code" in error && typeof error.code === "number" && "details" in error;
}

function first(metadata: Metadata | undefined, key: string): string | undefined {
    return metadata?.get(key)[0]?.toString();
}

/** Returns the details of a status; none when they cannot be read. */
function readStatus(metadata: Metadata | undefined): Status | undefined {
    const bytes = metadata?.get("grpc-status-details-bin")[0];
    if (!(bytes instanceof Uint8Array)) {
        return undefined;
    }
    try {
        return fromBinary(StatusSchema, bytes);
    } catch {
        return undefined;
    }
}

function find<Schema extends DescMessage>(details: Status | undefined, schema: Schema): MessageShape<Schema> | undefined {
    for (const detail of details?.details ?? []) {
        try {
            const found = anyUnpack(detail, schema);
            if (found) {
                return found;
            }
        } catch {
            // A damaged detail tells nothing; the status itself still does.
        }
    }
    return undefined;
}
