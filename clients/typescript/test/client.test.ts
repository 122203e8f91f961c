import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, test } from "node:test";

import * as grpc from "@grpc/grpc-js";

import type { SubscribeRequest } from "../src/gen/enmeshed/connector/v1/events_service_pb.js";
import type { UploadFileRequest } from "../src/gen/enmeshed/connector/v1/files_service_pb.js";
import type { ListMessagesRequest } from "../src/gen/enmeshed/connector/v1/messages_service_pb.js";
import { Connector, ConnectorError, download, upload } from "../src/index.js";
import { events, type Handlers, refusal, serve, started, type Subscription } from "./stub.js";

const cleanups: (() => void)[] = [];
afterEach(() => {
    for (const cleanup of cleanups.splice(0).reverse()) {
        cleanup();
    }
});

async function start(handlers: Handlers, port = 0) {
    const running = await serve(handlers, port);
    cleanups.push(() => running.server.forceShutdown());
    return running;
}

function connect(target: string): Connector {
    const connector = new Connector(target, { apiKey: "key", account: "alice" });
    cleanups.push(() => connector.close());
    return connector;
}

const SECONDS = { timeout: 30_000 };

test("a failed call tells everything that the status holds", SECONDS, async () => {
    const getMessage: grpc.handleUnaryCall<object, object> = (call, answer) => {
        const metadata = new grpc.Metadata();
        metadata.set("x-correlation-id", "corr-1");
        call.sendMetadata(metadata);
        answer(refusal(grpc.status.FAILED_PRECONDITION, "no active relationship", "RELATIONSHIP_NOT_ACTIVE"));
    };
    const { target } = await start({ getMessage });
    await assert.rejects(connect(target).messages.getMessage({ id: "x" }), (error) => {
        assert(error instanceof ConnectorError);
        assert.equal(error.code, grpc.status.FAILED_PRECONDITION);
        assert.equal(error.message, "RELATIONSHIP_NOT_ACTIVE: no active relationship");
        assert.equal(error.reason, "RELATIONSHIP_NOT_ACTIVE");
        assert.equal(error.officialCode, "error.runtime.messages.hasNoActiveRelationship");
        assert.equal(error.facts["peers"], "did:e:x");
        assert.deepEqual(error.violations.map(({ field, description }) => [field, description]), [["id", "is wrong"]]);
        assert.equal(error.retryAfterMs, 1);
        assert.equal(error.correlationId, "corr-1");
        return true;
    });
});

test("a lost connection is an error without a reason", SECONDS, async () => {
    const { target, server } = await start({});
    server.forceShutdown();
    await assert.rejects(connect(target).messages.getMessage({ id: "x" }), { name: "ConnectorError", code: grpc.status.UNAVAILABLE, reason: "" });
});

test("credentials go with calls and streams", SECONDS, async () => {
    const seen: unknown[] = [];
    const note = (metadata: grpc.Metadata) => seen.push([metadata.get("x-api-key"), metadata.get("x-account")]);
    const listMessages: grpc.handleUnaryCall<object, object> = (call, answer) => {
        note(call.metadata);
        answer(null, {});
    };
    const subscribe: Subscription = (stream) => {
        note(stream.metadata);
        stream.write(events("t1", "1"));
    };
    const { target } = await start({ listMessages, subscribe });
    const connector = connect(target);
    await connector.messages.listMessages({});
    for await (const _ of connector.follow()) {
        break;
    }
    assert.deepEqual(seen, [[["key"], ["alice"]], [["key"], ["alice"]]]);
});

test("pages reads all pages and leaves the request alone", SECONDS, async () => {
    const next: Record<string, string> = { "": "2", "2": "3", "3": "" };
    const listMessages: grpc.handleUnaryCall<ListMessagesRequest, object> = ({ request }, answer) =>
        answer(null, { messages: [{ id: `${request.pageToken} of ${request.pageSize}` }], nextPageToken: next[request.pageToken] });
    const { target } = await start({ listMessages });
    const connector = connect(target);
    const request = { pageSize: 7 };
    const found: (string | undefined)[] = [];
    for await (const page of connector.pages(connector.messages.listMessages, request)) {
        found.push(page.messages[0]?.id);
    }
    assert.deepEqual(found, [" of 7", "2 of 7", "3 of 7"]);
    assert.deepEqual(request, { pageSize: 7 });
});

test("follow goes on after the server was killed", SECONDS, async () => {
    const starts: (string | undefined)[] = [];
    const subscriptions: Subscription[] = [
        (stream) => stream.write(events("t2", "1", "2")),
        (stream) => {
            stream.write(events("t3", "3"));
            stream.emit("error", refusal(grpc.status.UNAVAILABLE, "draining", "DRAINING"));
        },
        (stream) => {
            stream.write(events("t4", "4"));
            stream.end();
        },
        (stream) => stream.write(events("t5", "5")),
    ];
    const subscribe = (stream: grpc.ServerWritableStream<SubscribeRequest, object>): void => {
        const { start } = stream.request;
        starts.push(start.case === "resumeToken" ? start.value : undefined);
        stream.write(started());
        subscriptions.shift()?.(stream);
    };
    const { target, server, port } = await start({ subscribe });
    const found: [string, string][] = [];
    let connections = 0;
    for await (const { event, resumeToken } of connect(target).follow({ onConnected: () => (connections += 1) })) {
        found.push([event.id, resumeToken]);
        if (found.length === 2) {
            server.forceShutdown();
            await start({ subscribe }, port);
        }
        if (found.length === 5) {
            break;
        }
    }
    assert.deepEqual(found, [["1", ""], ["2", "t2"], ["3", "t3"], ["4", "t4"], ["5", "t5"]]);
    assert.deepEqual(starts, [undefined, "t2", "t3", "t4"]);
    assert.equal(connections, 4);
});

test("follow ends with a refusal", SECONDS, async () => {
    const subscribe: Subscription = (stream) => stream.emit("error", refusal(grpc.status.PERMISSION_DENIED, "no", "PERMISSION_DENIED"));
    const { target } = await start({ subscribe });
    await assert.rejects(connect(target).follow({ after: "t9" }).next(), { reason: "PERMISSION_DENIED" });
});

test("follow loses patience with a server that stays away", SECONDS, async () => {
    const { target, server } = await start({});
    server.forceShutdown();
    await assert.rejects(connect(target).follow({ patienceMs: 1 }).next(), { code: grpc.status.UNAVAILABLE });
});

test("follow leaves a stream that is silent for too long", SECONDS, async () => {
    let calls = 0;
    const subscribe: Subscription = (stream) => {
        calls += 1;
        stream.write(calls === 1 ? started(0) : events("t1", "1"));
    };
    const { target } = await start({ subscribe });
    for await (const { event } of connect(target).follow()) {
        assert.equal(event.id, "1");
        break;
    }
    assert.equal(calls, 2);
});

test("a signal ends following and cancels the stream", SECONDS, async () => {
    const controller = new AbortController();
    let cancelled!: () => void;
    const isCancelled = new Promise<void>((resolve) => {
        cancelled = resolve;
    });
    const subscribe: Subscription = (stream) => {
        stream.on("cancelled", () => cancelled());
        stream.write(started());
    };
    const { target } = await start({ subscribe });
    const following = connect(target).follow({ signal: controller.signal, onConnected: () => controller.abort(new Error("enough")) });
    await assert.rejects(following.next(), /enough/);
    await isCancelled;
});

function fileServer(settings: { damaged?: boolean } = {}): Handlers {
    let stored = Buffer.alloc(0);
    const uploadFile: grpc.handleClientStreamingCall<UploadFileRequest, object> = (call, answer) => {
        const chunks: Uint8Array[] = [];
        let filename = "";
        call.on("data", ({ frame }: UploadFileRequest) => {
            if (frame.case === "metadata") {
                filename = frame.value.filename;
                if (filename === "refused") {
                    answer(refusal(grpc.status.RESOURCE_EXHAUSTED, "no room", "TOO_BUSY"));
                }
            } else if (frame.case === "chunk") {
                chunks.push(frame.value);
            } else if (frame.case === "digest") {
                stored = Buffer.concat(chunks);
                assert.deepEqual(Buffer.from(frame.value.sha512), createHash("sha512").update(stored).digest());
            }
        });
        call.on("end", () => answer(null, { file: { filename } }));
    };
    const downloadFile: grpc.handleServerStreamingCall<object, object> = (stream) => {
        stream.write({ frame: { case: "metadata", value: { file: { filename: "f" }, sizeBytes: BigInt(stored.length) } } });
        const sent = Buffer.from(stored);
        if (settings.damaged) {
            sent.writeUInt8(sent.readUInt8(0) ^ 1, 0);
        }
        for (let start = 0; start < sent.length; start += 200_000) {
            stream.write({ frame: { case: "chunk", value: sent.subarray(start, start + 200_000) } });
        }
        stream.write({ frame: { case: "digest", value: { sha512: createHash("sha512").update(stored).digest() } } });
        stream.end();
    };
    return { uploadFile, downloadFile };
}

test("a file comes back as it was uploaded", SECONDS, async () => {
    for (const size of [0, 1, 256 * 1024, 1_000_000]) {
        const { target } = await start(fileServer());
        const connector = connect(target);
        const content = Buffer.alloc(size, 7);
        assert.equal((await upload(connector, content, { filename: "f" })).filename, "f");
        const found = await download(connector.files.downloadFile({ id: "x" }));
        assert.equal(found.file?.filename, "f");
        assert.deepEqual(found.content, content);
    }
});

test("an upload that is refused halfway tells why", SECONDS, async () => {
    const { target } = await start(fileServer());
    await assert.rejects(upload(connect(target), Buffer.alloc(8 << 20), { filename: "refused" }), { reason: "TOO_BUSY" });
});

test("a damaged download is an error", SECONDS, async () => {
    const { target } = await start(fileServer({ damaged: true }));
    const connector = connect(target);
    await upload(connector, Buffer.from("content"), { filename: "f" });
    await assert.rejects(download(connector.files.downloadFile({ id: "x" })), { reason: "TRANSFER_INCOMPLETE", code: grpc.status.DATA_LOSS });
});
