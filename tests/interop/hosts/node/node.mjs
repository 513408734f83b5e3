// Hosts mqtt.js clients under Node.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import mqtt from "mqtt";
import { makeServe } from "./clients.mjs";

const base64 = {
  encode: (bytes) => Buffer.from(bytes).toString("base64"),
  decode: (text) => Buffer.from(text, "base64"),
};
const serve = makeServe(mqtt, base64, (value) =>
  process.stdout.write(JSON.stringify(value) + "\n"),
);

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const request = JSON.parse(line);
    if (request.ca) request.ca_text = readFileSync(request.ca, "utf8");
    serve(request);
  })
  .on("close", () => process.exit(0));
