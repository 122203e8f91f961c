/** A server on loopback that plays the services which the tests need. */

import { create, type DescMethod, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";

import { Events, type SubscribeRequest, type SubscribeResponseSchema } from "../src/gen/enmeshed/connector/v1/events_service_pb.js";
import { Files } from "../src/gen/enmeshed/connector/v1/files_service_pb.js";
import { Messages } from "../src/gen/enmeshed/connector/v1/messages_service_pb.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../src/gen/google/rpc/status_pb.js";

export type Frame = MessageInitShape<typeof SubscribeResponseSchema>;
/** What one subscription does. */
export type Subscription = (stream: grpc.ServerWritableStream<SubscribeRequest, Frame>) => void;

/** The handlers of a stub, by the name of their call. */
export type Handlers = Partial<Record<string, grpc.UntypedHandleCall>>;

function definition(method: DescMethod): grpc.MethodDefinition<object, object> {
    return {
        path: `/${method.parent.typeName}/${method.name}`,
        requestStream: method.methodKind === "client_streaming",
        responseStream: method.methodKind === "server_streaming",
        requestSerialize: () => Buffer.alloc(0),
        requestDeserialize: (bytes) => fromBinary(method.input, bytes),
        responseSerialize: (message) => Buffer.from(toBinary(method.output, create(method.output, message as Record<string, unknown>))),
        responseDeserialize: (bytes) => fromBinary(method.output, bytes),
    };
}

/** Starts a server; port 0 picks a free one. */
export async function serve(handlers: Handlers, port = 0): Promise<{ server: grpc.Server; port: number; target: string }> {
    const server = new grpc.Server();
    const definitions: Record<string, grpc.MethodDefinition<object, object>> = {};
    const implementation: Record<string, grpc.UntypedHandleCall> = {};
    for (const method of [...Events.methods, ...Files.methods, ...Messages.methods]) {
        definitions[method.name] = definition(method);
        const handler = handlers[method.localName];
        if (handler) {
            implementation[method.name] = handler;
        }
    }
    server.addService(definitions, implementation);
    const bound = await new Promise<number>((resolve, reject) => {
        server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, found) =>
            error ? reject(error) : resolve(found),
        );
    });
    return { server, port: bound, target: `127.0.0.1:${bound}` };
}

/** A status with all the details that the Connector sends. */
export function refusal(code: grpc.status, details: string, reason: string): grpc.ServiceError {
    const metadata = new grpc.Metadata();
    const status = create(StatusSchema, {
        code,
        message: details,
        details: [
            anyPack(
                ErrorInfoSchema,
                create(ErrorInfoSchema, {
                    reason,
                    domain: "connector.enmeshed",
                    metadata: { code: "error.runtime.messages.hasNoActiveRelationship", peers: "did:e:x" },
                }),
            ),
            anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations: [{ field: "id", description: "is wrong" }] })),
            anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: durationFromMs(1) })),
        ],
    });
    metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, status)));
    return Object.assign(new Error(details), { code, details, metadata });
}

/** The first frame of a subscription. */
export function started(heartbeatMs = 30_000): Frame {
    return { frame: { case: "started", value: { heartbeatInterval: durationFromMs(heartbeatMs) } } };
}

/** A batch of events. */
export function events(resumeToken: string, ...ids: string[]): Frame {
    return { resumeToken, frame: { case: "events", value: { events: ids.map((id) => ({ id })) } } };
}

