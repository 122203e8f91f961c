/** Events that survive a lost connection: the stream is made again and goes on where it was. */

import { status } from "@grpc/grpc-js";

import type { Client } from "./client.js";
import { ConnectorError } from "./errors.js";
import type { Event } from "./gen/enmeshed/connector/v1/event_pb.js";
import { type Events, type SubscribeResponse, SubscriptionStart } from "./gen/enmeshed/connector/v1/events_service_pb.js";

/** What a restart, a drain or a proxy in between looks like; everything else is an answer. */
const PASSING: ReadonlySet<status> = new Set([status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.INTERNAL, status.CANCELLED]);
/** Answers that ask for a resume. */
const RESUMABLE: ReadonlySet<string> = new Set(["DRAINING", "SUBSCRIBER_TOO_SLOW", "TOO_MANY_SUBSCRIPTIONS"]);
const FIRST_SILENCE_MS = 60_000;
const SHORTEST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;

/** An event, and where to go on after it. */
export interface ReceivedEvent {
    readonly event: Event;
    /**
     * Keep it once the event is dealt with. It covers the whole batch the event came in only with the batch's last event; before that it
     * is the token of the batch before, so that an interruption repeats events and loses none. Empty before the first token came.
     */
    readonly resumeToken: string;
}

/** Which events, and from where. */
export interface FollowOptions {
    /** Exact types or patterns with `*` and `**`; none means all. */
    readonly types?: readonly string[];
    /** The `resumeToken` of the last event that was dealt with. None: from now on. */
    readonly after?: string;
    /** Begins with the oldest event that is kept, when there is no `after`. */
    readonly fromBeginning?: boolean;
    /** For how long the server may be away in one go before the error is thrown, in milliseconds. Default: 60,000. */
    readonly patienceMs?: number;
    /** Called whenever a stream has begun: at first, and after each lost connection. */
    readonly onConnected?: () => void;
    /** Ends the iteration with an error. */
    readonly signal?: AbortSignal;
}

/** Yields events; see `Connector.follow`. */
export async function* follow(events: Client<typeof Events>, options: FollowOptions): AsyncGenerator<ReceivedEvent, void> {
    const { signal, patienceMs = 60_000 } = options;
    let token = options.after ?? "";
    let awaySince: number | undefined;
    let delayMs = SHORTEST_DELAY_MS;
    for (;;) {
        let retryAfterMs = 0;
        const watch = new Watch(signal);
        try {
            const request = { types: [...(options.types ?? [])], start: startOf(token, options.fromBeginning ?? false) };
            for await (const frame of watch.over(events.subscribe(request, { signal: watch.signal }))) {
                awaySince = undefined;
                delayMs = SHORTEST_DELAY_MS;
                if (frame.frame.case === "started") {
                    const interval = frame.frame.value.heartbeatInterval;
                    // Past twice the longest silence that the server promises, nobody is there any more.
                    watch.silenceMs = 2_000 * Number(interval?.seconds ?? 30n) + 1_000;
                    options.onConnected?.();
                } else if (frame.frame.case === "events") {
                    const batch = frame.frame.value.events;
                    for (const [index, event] of batch.entries()) {
                        yield { event, resumeToken: index === batch.length - 1 ? frame.resumeToken : token };
                    }
                }
                token = frame.resumeToken || token;
            }
        } catch (error) {
            signal?.throwIfAborted();
            if (!(error instanceof ConnectorError) || !(PASSING.has(error.code) || RESUMABLE.has(error.reason))) {
                throw error;
            }
            awaySince ??= performance.now();
            if (performance.now() - awaySince > patienceMs) {
                throw error;
            }
            retryAfterMs = error.retryAfterMs ?? 0;
        }
        await pause(Math.max(delayMs * (0.5 + Math.random()), retryAfterMs), signal);
        delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS);
    }
}

function startOf(token: string, fromBeginning: boolean) {
    if (token) {
        return { case: "resumeToken", value: token } as const;
    }
    return { case: "from", value: fromBeginning ? SubscriptionStart.BEGINNING : SubscriptionStart.NOW } as const;
}

/** Ends a stream that is silent for too long. The time that the reader of the events takes does not count. */
class Watch {
    silenceMs = FIRST_SILENCE_MS;
    readonly #controller = new AbortController();
    readonly signal: AbortSignal;

    constructor(signal: AbortSignal | undefined) {
        this.signal = signal ? AbortSignal.any([signal, this.#controller.signal]) : this.#controller.signal;
    }

    async *over(stream: AsyncGenerator<SubscribeResponse, void>): AsyncGenerator<SubscribeResponse, void> {
        try {
            for (;;) {
                const timer = setTimeout(() => this.#controller.abort(), this.silenceMs);
                const next = await stream.next().finally(() => clearTimeout(timer));
                if (next.done) {
                    return;
                }
                yield next.value;
            }
        } finally {
            await stream.return();
        }
    }
}

/** Waits. */
function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
        const end = (): void => {
            clearTimeout(timer);
            signal?.removeEventListener("abort", end);
            if (signal?.aborted) {
                reject(signal.reason);
            } else {
                resolve();
            }
        };
        const timer = setTimeout(end, milliseconds);
        signal?.addEventListener("abort", end, { once: true });
    });
}
