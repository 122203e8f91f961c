/** The connection to a Connector: a channel, credentials on every call, and a client per service. */

import { randomUUID } from "node:crypto";

import type { DescService } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";

import { type CallOptions, type Client, createClient } from "./client.js";
import { type FollowOptions, follow, type ReceivedEvent } from "./events.js";
import { Account } from "./gen/enmeshed/connector/v1/account_service_pb.js";
import { Events } from "./gen/enmeshed/connector/v1/events_service_pb.js";
import { Files } from "./gen/enmeshed/connector/v1/files_service_pb.js";
import { Messages } from "./gen/enmeshed/connector/v1/messages_service_pb.js";
import { RelationshipTemplates } from "./gen/enmeshed/connector/v1/relationship_templates_service_pb.js";
import { Relationships } from "./gen/enmeshed/connector/v1/relationships_service_pb.js";
import { Tokens } from "./gen/enmeshed/connector/v1/tokens_service_pb.js";

/** Larger than any answer: content may have 20 MiB. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;

/** How to reach a Connector. */
export interface ConnectorOptions {
    /** Sent as `x-api-key`. None where the server asks for none. */
    readonly apiKey?: string;
    /** The name of the account, sent as `x-account`. None where the key or the server has just one. */
    readonly account?: string;
    /** Encrypts the connection. */
    readonly tls?: boolean;
    /** PEM certificates to trust, for TLS with an authority of one's own. Implies `tls`. */
    readonly ca?: Buffer;
    /** Options of the channel. */
    readonly channelOptions?: grpc.ChannelOptions;
}

/**
 * One account of a Connector. The connection is made by the first call.
 *
 *     const alice = new Connector("localhost:50051", { apiKey, account: "alice" });
 *     const { message } = await alice.messages.sendMessage({ recipients: [bob], content, idempotencyKey: idempotencyKey() });
 *     alice.close();
 */
export class Connector {
    readonly account: Client<typeof Account>;
    readonly relationshipTemplates: Client<typeof RelationshipTemplates>;
    readonly relationships: Client<typeof Relationships>;
    readonly messages: Client<typeof Messages>;
    readonly files: Client<typeof Files>;
    readonly tokens: Client<typeof Tokens>;
    /** `follow` is the way to read events for long. */
    readonly events: Client<typeof Events>;

    readonly #connection: grpc.Client;
    readonly #metadata: Readonly<Record<string, string>>;

    /**
     * @param target Host and port: `localhost:50051`.
     */
    constructor(target: string, options: ConnectorOptions = {}) {
        const isEncrypted = options.tls === true || options.ca !== undefined;
        this.#connection = new grpc.Client(
            target,
            isEncrypted ? grpc.credentials.createSsl(options.ca ?? null) : grpc.credentials.createInsecure(),
            {
                "grpc.keepalive_time_ms": 60_000,
                "grpc.keepalive_timeout_ms": 20_000,
                "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
                // A server that comes back is found soon; the default may wait two minutes.
                "grpc.initial_reconnect_backoff_ms": 200,
                "grpc.max_reconnect_backoff_ms": 5_000,
                ...options.channelOptions,
            },
        );
        this.#metadata = {
            ...(options.apiKey !== undefined && { "x-api-key": options.apiKey }),
            ...(options.account !== undefined && { "x-account": options.account }),
        };
        this.account = this.client(Account);
        this.relationshipTemplates = this.client(RelationshipTemplates);
        this.relationships = this.client(Relationships);
        this.messages = this.client(Messages);
        this.files = this.client(Files);
        this.tokens = this.client(Tokens);
        this.events = this.client(Events);
    }

    /** Returns the calls of any service of the contract: `connector.client(Challenges)`. */
    client<Service extends DescService>(service: Service): Client<Service> {
        return createClient(this.#connection, service, this.#metadata);
    }

    /**
     * Yields all pages of a list call.
     *
     *     for await (const page of connector.pages(connector.messages.listMessages, { pageSize: 100 })) { … }
     *
     * @throws ConnectorError A call failed.
     */
    async *pages<Request extends { pageToken?: string }, Page extends { nextPageToken: string }>(
        list: (request: Request, options?: CallOptions) => Promise<Page>,
        request: Request,
        options?: CallOptions,
    ): AsyncGenerator<Page, void> {
        let page = await list(request, options);
        yield page;
        while (page.nextPageToken) {
            page = await list({ ...request, pageToken: page.nextPageToken }, options);
            yield page;
        }
    }

    /**
     * Yields events for as long as the caller goes on, across lost connections and restarts of the server.
     *
     * Order: as committed. Delivery: at least once; an event comes again only after a lost connection. End: never by itself. Slow readers: the
     * server waits for them in the log and loses nothing within its retention.
     *
     * @throws ConnectorError The Connector refuses, or is away for longer than the patience.
     */
    follow(options: FollowOptions = {}): AsyncGenerator<ReceivedEvent, void> {
        return follow(this.events, options);
    }

    /** Closes the connection; calls under way are cancelled. */
    close(): void {
        this.#connection.close();
    }
}

/** Returns a new key for one mutation; keep it and repeat the call with it when the outcome is unknown. */
export function idempotencyKey(): string {
    return randomUUID();
}
