/** Typed calls of any service of the contract, as promises and async iterables over @grpc/grpc-js. */

import {
    create,
    type DescMessage,
    type DescMethod,
    type DescService,
    fromBinary,
    type MessageInitShape,
    type MessageShape,
    toBinary,
} from "@bufbuild/protobuf";
import type * as grpc from "@grpc/grpc-js";
import { Metadata } from "@grpc/grpc-js";

import { ConnectorError } from "./errors.js";

/** What one call may say beside its request. */
export interface CallOptions {
    /** Milliseconds until it is given up. Default: 60,000 for calls with one answer, none for streams. `null`: never. */
    readonly timeoutMs?: number | null;
    /** Cancels the call. */
    readonly signal?: AbortSignal;
    /** Further metadata, such as `x-correlation-id`. */
    readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * The calls of a service. Those with one answer give a promise, those that stream answers an async iterable, whose call begins with the
 * iteration and is cancelled when it is left. All of them throw `ConnectorError`.
 */
export type Client<Service extends DescService> = {
    readonly [Name in keyof Service["method"]]: Call<Service["method"][Name]>;
};

type Call<Method extends DescMethod> = Method["methodKind"] extends "unary"
    ? (request: MessageInitShape<Method["input"]>, options?: CallOptions) => Promise<MessageShape<Method["output"]>>
    : Method["methodKind"] extends "server_streaming"
      ? (request: MessageInitShape<Method["input"]>, options?: CallOptions) => AsyncGenerator<MessageShape<Method["output"]>, void>
      : Method["methodKind"] extends "client_streaming"
        ? (
              requests: AsyncIterable<MessageInitShape<Method["input"]>>,
              options?: CallOptions,
          ) => Promise<MessageShape<Method["output"]>>
        : never;

const UNARY_TIMEOUT_MS = 60_000;

/**
 * Makes the calls of a service.
 *
 * @param connection Where they go.
 * @param service The description of the service: `Messages`.
 * @param metadata Sent with each call.
 */
export function createClient<Service extends DescService>(
    connection: grpc.Client,
    service: Service,
    metadata: Readonly<Record<string, string>>,
): Client<Service> {
    const calls: Record<string, unknown> = {};
    for (const method of service.methods) {
        calls[method.localName] = callOf(connection, method, metadata);
    }
    return calls as Client<Service>;
}

function callOf(connection: grpc.Client, method: DescMethod, common: Readonly<Record<string, string>>): unknown {
    const path = `/${method.parent.typeName}/${method.name}`;
    const write = (message: MessageShape<DescMessage>): Buffer => Buffer.from(toBinary(method.input, message));
    const read = (bytes: Buffer): MessageShape<DescMessage> => fromBinary(method.output, bytes);
    const asMetadata = (options: CallOptions): Metadata => {
        const metadata = new Metadata();
        for (const [key, value] of Object.entries({ ...common, ...options.metadata })) {
            metadata.set(key, value);
        }
        return metadata;
    };

    switch (method.methodKind) {
        case "unary":
            return (request: MessageInitShape<DescMessage>, options: CallOptions = {}) =>
                answer((callback) =>
                    connection.makeUnaryRequest(
                        path,
                        write,
                        read,
                        create(method.input, request),
                        asMetadata(options),
                        deadline(options, UNARY_TIMEOUT_MS),
                        callback,
                    ),
                options.signal).result;
        case "server_streaming":
            return (request: MessageInitShape<DescMessage>, options: CallOptions = {}) =>
                frames(
                    () =>
                        connection.makeServerStreamRequest(
                            path,
                            write,
                            read,
                            create(method.input, request),
                            asMetadata(options),
                            deadline(options, null),
                        ),
                    options.signal,
                );
        case "client_streaming":
            return async (requests: AsyncIterable<MessageInitShape<DescMessage>>, options: CallOptions = {}) => {
                const { call, result } = answer(
                    (callback) =>
                        connection.makeClientStreamRequest(
                            path,
                            write,
                            read,
                            asMetadata(options),
                            deadline(options, null),
                            callback,
                        ),
                    options.signal,
                );
                const feeding = feed(call, method.input, requests, result);
                // A request that cannot be made cancels the call, and is the error that matters then.
                return (await Promise.all([feeding, result]))[1];
            };
        case "bidi_streaming":
            return () => {
                throw new TypeError(`${path} streams both ways, which this client does not offer`);
            };
    }
}

function deadline(options: CallOptions, otherwise: number | null): grpc.CallOptions {
    const timeout = options.timeoutMs === undefined ? otherwise : options.timeoutMs;
    return timeout === null ? {} : { deadline: Date.now() + timeout };
}

/** Starts a call with one answer. */
function answer<C extends grpc.ClientUnaryCall>(
    start: (callback: grpc.requestCallback<MessageShape<DescMessage>>) => C,
    signal: AbortSignal | undefined,
): { call: C; result: Promise<MessageShape<DescMessage>> } {
    signal?.throwIfAborted();
    let settle!: grpc.requestCallback<MessageShape<DescMessage>>;
    let initial: Metadata | undefined;
    const result = new Promise<MessageShape<DescMessage>>((resolve, reject) => {
        settle = (error, value) => {
            if (error || value === undefined) {
                reject(ConnectorError.of(error, initial));
            } else {
                resolve(value);
            }
        };
    });
    const call = start((error, value) => settle(error, value));
    call.on("metadata", (metadata: Metadata) => {
        initial = metadata;
    });
    const cancel = (): void => call.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    const release = (): void => signal?.removeEventListener("abort", cancel);
    result.then(release, release);
    return { call, result };
}

/** Reads a stream of answers. Reading waits for the caller, and so does the server. */
async function* frames(
    start: () => grpc.ClientReadableStream<MessageShape<DescMessage>>,
    signal: AbortSignal | undefined,
): AsyncGenerator<MessageShape<DescMessage>, void> {
    signal?.throwIfAborted();
    const call = start();
    let initial: Metadata | undefined;
    call.on("metadata", (metadata: Metadata) => {
        initial = metadata;
    });
    // After the reader has left, the cancellation arrives as an error that nobody waits for.
    call.on("error", () => {});
    const cancel = (): void => call.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    try {
        yield* call as AsyncIterable<MessageShape<DescMessage>>;
    } catch (error) {
        throw ConnectorError.of(error, initial);
    } finally {
        signal?.removeEventListener("abort", cancel);
        call.cancel();
    }
}

/** Sends requests as fast as the connection takes them, until they end or the answer is there. */
async function feed(
    call: grpc.ClientWritableStream<MessageShape<DescMessage>>,
    schema: DescMessage,
    requests: AsyncIterable<MessageInitShape<DescMessage>>,
    result: Promise<unknown>,
): Promise<void> {
    let isOver = false;
    const over = result.then(
        () => {
            isOver = true;
        },
        () => {
            isOver = true;
        },
    );
    try {
        for await (const request of requests) {
            if (isOver) {
                return;
            }
            if (!call.write(create(schema, request))) {
                await Promise.race([new Promise<void>((resolve) => call.once("drain", resolve)), over]);
            }
        }
        call.end();
    } catch (error) {
        call.cancel();
        throw error;
    }
}
