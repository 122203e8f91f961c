// Reads content with the official classes and writes what becomes of it, one JSON value a line on stdin and stdout.
//
//   {"content": value}                 -> {"json": what the official class writes} or {"error": text}
//   {"iql": query}                     -> {"valid": true or false}
//   {"iql": query, "on": attributes}   -> {"found": indexes} or {"error": text}
import "reflect-metadata";

import { createInterface } from "node:readline";

import { Serializable } from "@js-soft/ts-serval";
import * as content from "@nmshd/content";
import { SodiumWrapper } from "@nmshd/crypto";
import * as iql from "@nmshd/iql";

// The classes enter themselves in a registry when they are loaded.
if (Object.keys(content).length === 0) throw new Error("no content classes");
await SodiumWrapper.ready();

function answer(request) {
    if (request.iql !== undefined) {
        if (request.on === undefined) return { valid: iql.validate(request.iql).isValid };
        return { found: iql.execute(request.iql, request.on) };
    }
    return { json: Serializable.fromUnknown(request.content).toJSON() };
}

for await (const line of createInterface({ input: process.stdin })) {
    let result;
    try {
        result = answer(JSON.parse(line));
    } catch (error) {
        result = { error: String(error.message ?? error) };
    }
    process.stdout.write(`${JSON.stringify(result)}\n`);
}
