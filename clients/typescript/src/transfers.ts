/** Files in and out: chunks, and the digest that both sides check. */

import { createHash } from "node:crypto";

import type { MessageInitShape } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";

import type { CallOptions } from "./client.js";
import type { Connector } from "./connector.js";
import { ConnectorError } from "./errors.js";
import type { File } from "./gen/enmeshed/connector/v1/file_pb.js";
import type {
    DownloadFileResponse,
    UploadFileRequestSchema,
    UploadMetadataSchema,
} from "./gen/enmeshed/connector/v1/files_service_pb.js";
import type { DownloadAttachmentResponse } from "./gen/enmeshed/connector/v1/messages_service_pb.js";
import type { DownloadMetadata } from "./gen/enmeshed/connector/v1/transfer_pb.js";

const CHUNK_BYTES = 256 * 1024;

/** A file that arrived whole. */
export interface Download {
    readonly file: File | undefined;
    readonly content: Buffer;
}

/** A frame of `files.downloadFile` or `messages.downloadAttachment`. */
export type DownloadFrame = DownloadFileResponse | DownloadAttachmentResponse;

/**
 * Uploads a file and returns what became of it, with its reference. The size is taken from the content.
 *
 * @throws ConnectorError The Connector refused it, or the transfer broke; then nothing of it is left.
 */
export async function upload(
    connector: Connector,
    content: Uint8Array,
    metadata: Omit<MessageInitShape<typeof UploadMetadataSchema>, "sizeBytes" | "$typeName">,
    options: CallOptions = { timeoutMs: 300_000 },
): Promise<File> {
    async function* frames(): AsyncGenerator<MessageInitShape<typeof UploadFileRequestSchema>, void> {
        yield { frame: { case: "metadata", value: { ...metadata, sizeBytes: BigInt(content.length) } } };
        for (let start = 0; start < content.length; start += CHUNK_BYTES) {
            yield { frame: { case: "chunk", value: content.subarray(start, start + CHUNK_BYTES) } };
        }
        yield { frame: { case: "digest", value: { sha512: createHash("sha512").update(content).digest() } } };
    }

    const { file } = await connector.files.uploadFile(frames(), options);
    if (!file) {
        throw incomplete();
    }
    return file;
}

/**
 * Reads the stream of `files.downloadFile` or `messages.downloadAttachment` and checks it.
 *
 * @throws ConnectorError The Connector refused, the transfer broke, or the digest does not fit.
 */
export async function download(stream: AsyncIterable<DownloadFrame>): Promise<Download> {
    let metadata: DownloadMetadata | undefined;
    let expected: Uint8Array | undefined;
    const chunks: Uint8Array[] = [];
    const digest = createHash("sha512");
    for await (const { frame } of stream) {
        if (frame.case === "metadata") {
            metadata = frame.value;
        } else if (frame.case === "chunk") {
            chunks.push(frame.value);
            digest.update(frame.value);
            expected = undefined; // The digest comes last.
        } else if (frame.case === "digest") {
            expected = frame.value.sha512;
        }
    }
    const content = Buffer.concat(chunks);
    const isWhole = expected !== undefined && digest.digest().equals(expected);
    if (!metadata || !isWhole || BigInt(content.length) !== metadata.sizeBytes) {
        throw incomplete();
    }
    return { file: metadata.file, content };
}

function incomplete(): ConnectorError {
    return new ConnectorError(status.DATA_LOSS, "The file did not arrive whole.", { reason: "TRANSFER_INCOMPLETE" });
}
