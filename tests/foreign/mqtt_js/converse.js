// Holds the conversation that it reads as JSON, with MQTT.js, and writes what it has heard: see ../conversation.py.

import { text } from "node:stream/consumers";
import { connectAsync } from "mqtt";

const SCHEMES = { tcp: "mqtt", websockets: "ws" };

const conversation = JSON.parse(await text(process.stdin));
const five = conversation.version === 5;

const client = await connectAsync(`${SCHEMES[conversation.transport]}://127.0.0.1:${conversation.port}`, {
  clientId: conversation.name,
  protocolVersion: five ? 5 : 4,
  reconnectPeriod: 0,
});

const answers = [];
const complete = new Promise((resolve) => {
  client.on("message", (topic, payload, packet) => {
    answers.push(read(topic, payload, packet.properties ?? {}));
    if (answers.length === conversation.submissions.length) resolve();
  });
});

await client.subscribeAsync(conversation.filter, { qos: 1 });
const acknowledged = [];
for (const one of conversation.submissions) acknowledged.push(await submit(one));
await complete;
await client.endAsync();
console.log(JSON.stringify({ answers, acknowledged }));

// A refusal is an error to MQTT.js, and comes with its packet.
function submit(submission) {
  const options = { qos: 1, properties: five ? written(submission) : undefined };
  return new Promise((resolve) => {
    client.publish(submission.topic, submission.payload, options, (error, packet) => {
      resolve({ reason: error?.code ?? 0, sentence: error ? (packet?.properties?.reasonString ?? "") : "" });
    });
  });
}

// User properties are an object to MQTT.js: those of one name stand together.
function written(submission) {
  const userProperties = {};
  for (const [name, value] of submission.user_properties) (userProperties[name] ??= []).push(value);
  return {
    responseTopic: submission.response_topic,
    correlationData: Buffer.from(submission.correlation),
    userProperties,
  };
}

function read(topic, payload, properties) {
  const pairs = Object.entries(properties.userProperties ?? {});
  return {
    topic,
    payload: payload.toString(),
    content_type: properties.contentType ?? null,
    correlation: properties.correlationData?.toString() ?? null,
    user_properties: pairs.flatMap(([name, values]) => [values].flat().map((value) => [name, value])),
  };
}
