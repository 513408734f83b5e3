// Hosts mqtt.js clients in a page, which fetches its requests and posts what it has to report.
import { makeServe } from "./clients.mjs";

const base64 = {
  encode: (bytes) => {
    const pieces = [];
    // The arguments of a call are bounded.
    for (let at = 0; at < bytes.length; at += 0x8000)
      pieces.push(String.fromCharCode(...bytes.subarray(at, at + 0x8000)));
    return btoa(pieces.join(""));
  },
  decode: (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0)),
};

let lines = [];
let posting = false;

// One report at a time, so that they arrive in order, with all that has gathered meanwhile.
async function post() {
  posting = true;
  while (lines.length > 0) {
    const body = lines.join("");
    lines = [];
    await fetch("reports", { method: "POST", body });
  }
  posting = false;
}

function write(value) {
  lines.push(JSON.stringify(value) + "\n");
  if (!posting) setTimeout(() => posting || post());
}

const serve = makeServe(window.mqtt, base64, write);
for (;;) {
  const answer = await fetch("requests");
  const batch = await answer.text();
  for (const line of batch.split("\n")) serve(JSON.parse(line));
}
