/**
 * Sends a mail and follows the account's events until it sees that the mail was sent.
 *
 *     node dist/examples/send-and-follow.js --address localhost:50051 --account alice --recipient did:e:…
 *
 * Each flag may come from the environment instead: ENMESHED_ADDRESS, ENMESHED_API_KEY, ENMESHED_ACCOUNT, ENMESHED_RECIPIENT, ENMESHED_CA_FILE.
 * Between the account and the recipient there has to be an active relationship. The key needs the permissions `messages:write`,
 * `messages:read` and `events:read`.
 *
 * Exit codes: 0, seen; 1, the Connector refused or the time was over; 2, a flag is missing.
 */

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { Connector, ConnectorError, idempotencyKey } from "../src/index.js";

const { values: flags } = parseArgs({
    options: {
        address: { type: "string", default: process.env["ENMESHED_ADDRESS"] ?? "localhost:50051" },
        // The environment is the better place: other users of a machine see the flags of its processes.
        "api-key": { type: "string", default: process.env["ENMESHED_API_KEY"] ?? "" },
        account: { type: "string", default: process.env["ENMESHED_ACCOUNT"] ?? "" },
        recipient: { type: "string", default: process.env["ENMESHED_RECIPIENT"] ?? "" },
        "ca-file": { type: "string", default: process.env["ENMESHED_CA_FILE"] ?? "" },
        subject: { type: "string", default: "Hello" },
        body: { type: "string", default: "Sent from TypeScript." },
        "timeout-seconds": { type: "string", default: "60" },
    },
});

async function main(): Promise<number> {
    if (!flags.recipient) {
        console.error("Who gets the mail? Give --recipient or ENMESHED_RECIPIENT.");
        return 2;
    }
    const connector = new Connector(flags.address, {
        ...(flags["api-key"] && { apiKey: flags["api-key"] }),
        ...(flags.account && { account: flags.account }),
        ...(flags["ca-file"] && { ca: readFileSync(flags["ca-file"]) }),
    });
    try {
        await sendAndFollow(connector, AbortSignal.timeout(Number(flags["timeout-seconds"]) * 1000));
        return 0;
    } catch (error) {
        if (error instanceof ConnectorError) {
            console.error(`refused: ${error.message}`);
            for (const violation of error.violations) {
                console.error(`  ${violation.field}: ${violation.description}`);
            }
        } else {
            console.error(error);
        }
        return 1;
    } finally {
        connector.close();
    }
}

async function sendAndFollow(connector: Connector, timeLimit: AbortSignal): Promise<void> {
    const failure = new AbortController();
    const signal = AbortSignal.any([timeLimit, failure.signal]);
    let sending: Promise<string> | undefined;
    // The stream comes first, so that no event of the mail is missed; a stream that is made anew does not send again.
    const onConnected = (): void => {
        sending ??= send(connector, signal);
        sending.catch((error: unknown) => failure.abort(error));
    };
    for await (const { event } of connector.follow({ types: ["transport.*"], onConnected, signal })) {
        const message = event.data.case === "message" ? event.data.value : undefined;
        console.log(`event ${event.type} ${message?.id ?? ""}`.trimEnd());
        // The event may be here before the answer to the call.
        if (event.type === "transport.messageSent" && message?.id === (await sending)) {
            return;
        }
    }
}

async function send(connector: Connector, signal: AbortSignal): Promise<string> {
    const mail = { to: [flags.recipient], subject: flags.subject, body: flags.body };
    const { message } = await connector.messages.sendMessage(
        {
            recipients: [flags.recipient],
            content: { kind: { case: "mail", value: mail } },
            // With the same key the call may be repeated: the mail is sent once.
            idempotencyKey: idempotencyKey(),
        },
        { signal },
    );
    if (!message) {
        throw new Error("The answer holds no message.");
    }
    console.log(`sent ${message.id}`);
    return message.id;
}

process.exitCode = await main();
