// Drives any number of mqtt.js clients by JSON lines: requests on stdin, answers and messages on
// stdout. A request is {"id", "op", "client", ...}; its answer is {"id"} or {"id", "error"}.
// A received message is {"client", "topic", "payload" (base64), "qos", "retain", "properties"}.
// Properties are those of mqtt.js, correlation data in base64.
import { createInterface } from "node:readline";
import mqtt from "mqtt";

const clients = new Map();

function write(value) {
  process.stdout.write(JSON.stringify(value) + "\n");
}

function decoded(properties) {
  if (properties?.correlationData === undefined) return properties;
  return { ...properties, correlationData: Buffer.from(properties.correlationData, "base64") };
}

function encoded(properties) {
  if (properties?.correlationData === undefined) return { ...properties };
  return { ...properties, correlationData: properties.correlationData.toString("base64") };
}

function connect({ client, will, protocol, protocolVersion, ...options }) {
  return new Promise((resolve, reject) => {
    const connection = mqtt.connect({
      ...options,
      protocol: protocol ?? "mqtt",
      host: "127.0.0.1",
      protocolVersion: protocolVersion ?? 4,
      reconnectPeriod: 0,
      resubscribe: false,
      will: will && {
        ...will,
        payload: Buffer.from(will.payload, "base64"),
        properties: decoded(will.properties),
      },
    });
    clients.set(client, connection);
    connection.on("message", (topic, payload, packet) =>
      write({
        client,
        topic,
        payload: payload.toString("base64"),
        qos: packet.qos,
        retain: packet.retain,
        properties: encoded(packet.properties),
      }),
    );
    connection.once("connect", (connack) => resolve({ sessionPresent: connack.sessionPresent }));
    connection.once("error", reject);
    connection.once("close", () => reject(new Error("closed")));
  });
}

async function subscribe({ client, filter, qos }) {
  const granted = await clients.get(client).subscribeAsync(filter, { qos });
  return { granted: granted.map((one) => one.qos) };
}

async function unsubscribe({ client, filter }) {
  await clients.get(client).unsubscribeAsync(filter);
  return {};
}

async function publish({ client, topic, payload, qos, retain, properties }) {
  const body = Buffer.from(payload, "base64");
  const options = { qos, retain, properties: decoded(properties) };
  await clients.get(client).publishAsync(topic, body, options);
  return {};
}

async function disconnect({ client }) {
  const connection = clients.get(client);
  clients.delete(client);
  await connection.endAsync();
  return {};
}

function abort({ client }) {
  const connection = clients.get(client);
  clients.delete(client);
  return new Promise((resolve) => {
    connection.once("close", () => resolve({}));
    connection.stream.destroy();
  });
}

const operations = { connect, subscribe, unsubscribe, publish, disconnect, abort };

async function serve(request) {
  try {
    const result = await operations[request.op](request);
    write({ id: request.id, ...result });
  } catch (error) {
    write({ id: request.id, error: String(error) });
  }
}

createInterface({ input: process.stdin })
  .on("line", (line) => serve(JSON.parse(line)))
  .on("close", () => process.exit(0));
