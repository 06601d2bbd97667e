// Serves a built site to a headless Chromium, and drives it: start(CHROMIUM, SITE) has what its users need.
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";

const TYPES = { ".html": "text/html", ".css": "text/css", ".mjs": "text/javascript", ".js": "text/javascript",
  ".wasm": "application/wasm", ".svg": "image/svg+xml", ".json": "application/json" };
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe"];

async function serve(site) {
  const server = http.createServer((request, response) => {
    const wanted = path.normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
    const file = path.join(site, wanted.endsWith("/") ? `${wanted}index.html` : wanted);
    if (!fs.existsSync(file) || fs.statSync(file).isDirectory()) return response.writeHead(404).end();
    response.writeHead(200, { "Content-Type": TYPES[path.extname(file)] ?? "application/octet-stream" });
    fs.createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

export async function start(chromium, site) {
  const server = await serve(site);
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "dcnbuild-chromium-"));
  const browser = spawn(chromium, [...FLAGS, `--user-data-dir=${profile}`, "about:blank"], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const waiting = new Map();
  let count = 0;
  let rest = "";
  let session;
  browser.stdio[4].on("data", (data) => {
    const messages = (rest + data).split("\0");
    rest = messages.pop();
    for (const message of messages.map((text) => JSON.parse(text))) {
      waiting.get(message.id)?.(message);
      waiting.delete(message.id);
    }
  });

  function send(method, params = {}) {
    count += 1;
    const id = count;
    browser.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId: session })}\0`);
    return new Promise((resolve, reject) => {
      waiting.set(id, ({ result, error }) => (error ? reject(new Error(`${method}: ${error.message}`)) : resolve(result)));
    });
  }

  async function evaluate(expression) {
    const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  async function until(expression) {
    while (!(await evaluate(expression))) await new Promise((resolve) => setTimeout(resolve, 100));
  }

  async function open(url, ready = "true") {
    await send("Page.navigate", { url: "about:blank" });
    await send("Page.navigate", { url });
    await until(`location.href !== "about:blank" && document.readyState === "complete" && !!(${ready})`);
  }

  async function screen(width, height, mobile) {
    await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile });
  }

  async function picture(file) {
    const { data } = await send("Page.captureScreenshot", { format: "png" });
    fs.writeFileSync(file, Buffer.from(data, "base64"));
  }

  async function close() {
    server.close();
    browser.kill();
    if (browser.exitCode === null && browser.signalCode === null) await new Promise((resolve) => browser.once("exit", resolve));
    for (let tries = 50; fs.existsSync(profile); tries -= 1) {
      try {
        fs.rmSync(profile, { recursive: true, force: true });
      } catch (error) {
        if (!tries) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100)); // its helpers still write
      }
    }
  }

  const { targetInfos } = await send("Target.getTargets");
  const { targetId } = targetInfos.find((target) => target.type === "page");
  session = (await send("Target.attachToTarget", { targetId, flatten: true })).sessionId;
  await send("Page.enable");
  return { address: `http://127.0.0.1:${server.address().port}/`, send, evaluate, until, open, screen, picture, close };
}
