// Any number of mqtt.js clients behind the operations that tests/support/peers/host.py describes,
// the same under Node and in a browser.

// base64 is {encode(Uint8Array), decode(text)}; write takes what the tests are to see.
export function makeServe(mqtt, base64, write) {
  const clients = new Map();

  function toProperties(given) {
    const made = {};
    if (given.user) {
      made.userProperties = {};
      for (const [name, value] of given.user) (made.userProperties[name] ??= []).push(value);
    }
    if (given.content_type !== undefined) made.contentType = given.content_type;
    if (given.response_topic !== undefined) made.responseTopic = given.response_topic;
    if (given.correlation_data !== undefined)
      made.correlationData = base64.decode(given.correlation_data);
    if (given.expiry !== undefined) made.messageExpiryInterval = given.expiry;
    return made;
  }

  function fromProperties(seen = {}) {
    const user = Object.entries(seen.userProperties ?? {}).flatMap(([name, values]) =>
      [values].flat().map((value) => [name, value]),
    );
    return {
      user,
      content_type: seen.contentType,
      response_topic: seen.responseTopic,
      correlation_data: seen.correlationData && base64.encode(seen.correlationData),
      expiry: seen.messageExpiryInterval,
      subscription_ids: [seen.subscriptionIdentifier ?? []].flat(),
    };
  }

  function connectProperties(request) {
    const made = {};
    if (request.session_expiry) made.sessionExpiryInterval = request.session_expiry;
    if (request.topic_aliases) made.topicAliasMaximum = request.topic_aliases;
    if (request.receive_maximum) made.receiveMaximum = request.receive_maximum;
    if (request.problem_information !== undefined)
      made.requestProblemInformation = request.problem_information;
    return made;
  }

  function toWill({ topic, payload, qos, retain, delay, properties }, isV5) {
    const will = { topic, payload: base64.decode(payload), qos, retain };
    if (!isV5) return will;
    const delays = delay === undefined ? {} : { willDelayInterval: delay };
    return { ...will, properties: { ...toProperties(properties), ...delays } };
  }

  function toOptions(request) {
    const isV5 = request.version === 5;
    const properties = connectProperties(request);
    return {
      protocol: { tcp: "mqtt", tls: "mqtts" }[request.transport] ?? request.transport,
      host: "127.0.0.1",
      port: request.port,
      ca: request.ca_text,
      protocolVersion: request.version,
      clientId: request.client_id,
      clean: request.clean,
      username: request.username,
      reconnectPeriod: 0,
      resubscribe: false,
      ...(Object.keys(properties).length ? { properties } : {}),
      ...(request.will ? { will: toWill(request.will, isV5) } : {}),
    };
  }

  function connect(request) {
    const { client } = request;
    return new Promise((resolve, reject) => {
      const connection = mqtt.connect(toOptions(request));
      clients.set(client, connection);
      connection.on("message", (topic, payload, { qos, retain, properties }) =>
        write({
          client,
          topic,
          payload: base64.encode(payload),
          qos,
          retain,
          properties: fromProperties(properties),
        }),
      );
      connection.once("connect", (connack) =>
        resolve({
          session_present: connack.sessionPresent,
          assigned_id: connack.properties?.assignedClientIdentifier,
        }),
      );
      connection.on("error", reject);
      connection.once("close", () => reject(new Error("closed")));
    });
  }

  async function subscribe({ client, filter, qos, identifier }) {
    const options = { qos };
    if (identifier !== undefined) options.properties = { subscriptionIdentifier: identifier };
    const granted = await clients.get(client).subscribeAsync(filter, options);
    return { codes: granted.map((one) => one.qos) };
  }

  async function publish({ client, topic, payload, qos, retain, properties }) {
    const connection = clients.get(client);
    const isV5 = connection.options.protocolVersion === 5;
    const options = { qos, retain, ...(isV5 ? { properties: toProperties(properties) } : {}) };
    try {
      await connection.publishAsync(topic, base64.decode(payload), options);
    } catch (error) {
      // The error has the code of the acknowledgement and loses its reason string.
      if (!(error.code >= 0x80)) throw error;
      return { code: error.code };
    }
    return { code: 0 };
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

  const operations = { connect, subscribe, publish, disconnect, abort };

  return async function serve(request) {
    try {
      const result = await operations[request.op](request);
      write({ id: request.id, ...result });
    } catch (error) {
      write({ id: request.id, error: String(error) });
    }
  };
}
