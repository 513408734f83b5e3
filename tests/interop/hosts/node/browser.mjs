// Hosts mqtt.js clients in headless Chromium: serves a page that loads the browser bundle of the
// package, and hands requests and reports over.
//
// usage: node browser.mjs CHROMIUM [SPKI-HASH]
// SPKI-HASH: base64 of the SHA-256 of the one public key that the browser is to trust besides.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [chromium, trusted] = process.argv.slice(2);
const FILES = {
  "/": ["page.html", "text/html"],
  "/page.mjs": ["page.mjs", "text/javascript"],
  "/clients.mjs": ["clients.mjs", "text/javascript"],
  "/mqtt.min.js": ["node_modules/mqtt/dist/mqtt.min.js", "text/javascript"],
};

let waiting = []; // requests that the page has not fetched
let fetching; // the response to the page's fetch, while there is no request

function handOver() {
  if (!fetching || waiting.length === 0) return;
  fetching.end(waiting.join("\n"));
  waiting = [];
  fetching = undefined;
}

async function answer(request, response) {
  const file = FILES[request.url];
  if (file) {
    response.writeHead(200, { "content-type": file[1] }).end(await readFile(file[0]));
  } else if (request.url === "/requests") {
    fetching = response;
    handOver();
  } else if (request.url === "/reports" || request.url === "/errors") {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const output = request.url === "/reports" ? process.stdout : process.stderr;
    output.write(Buffer.concat(pieces));
    response.end();
  } else {
    response.writeHead(404).end();
  }
}

const server = createServer(answer).listen(0, "127.0.0.1");
await once(server, "listening");

const profile = await mkdtemp(join(tmpdir(), "amqtt-browser-"));
const browser = spawn(
  chromium,
  [
    "--headless",
    "--no-sandbox", // it refuses to run as root with it, and loads only our page
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", // it is to look nothing up
    `--user-data-dir=${profile}`,
    ...(trusted ? [`--ignore-certificate-errors-spki-list=${trusted}`] : []),
    `http://127.0.0.1:${server.address().port}/`,
  ],
  { stdio: "ignore" },
);

async function finish(status) {
  if (browser.exitCode === null && browser.signalCode === null) {
    const ended = once(browser, "exit");
    browser.kill();
    await ended;
  }
  await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  process.exit(status);
}

browser.once("error", () => finish(1));
browser.once("exit", () => process.exit(1));
createInterface({ input: process.stdin })
  .on("line", (line) => {
    waiting.push(line);
    handOver();
  })
  .on("close", () => {
    browser.removeAllListeners("exit");
    finish(0);
  });
