// Uses the page what-broke.md of a built site as a person does, in a headless Chromium, and writes what it saw:
//   node tools/docs/drive_browser.mjs CHROMIUM SITE OUT < log
// OUT gets light.png, dark.png and phone.png; standard output a JSON object, which tools/docs/check_page.py judges.
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";

const [chromium, site, out] = process.argv.slice(2);
const log = fs.readFileSync(0, "utf-8");
const TYPES = { ".html": "text/html", ".css": "text/css", ".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm" };

const server = http.createServer((request, response) => {
  const wanted = path.normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
  const file = path.join(site, wanted.endsWith("/") ? `${wanted}index.html` : wanted);
  if (!fs.existsSync(file) || fs.statSync(file).isDirectory()) return response.writeHead(404).end();
  response.writeHead(200, { "Content-Type": TYPES[path.extname(file)] ?? "application/octet-stream" });
  fs.createReadStream(file).pipe(response);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const page = `http://127.0.0.1:${server.address().port}/what-broke/`;

const profile = fs.mkdtempSync(path.join(os.tmpdir(), "dcnbuild-chromium-"));
const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe", `--user-data-dir=${profile}`];
const browser = spawn(chromium, [...flags, "about:blank"], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });

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

async function open(url) {
  await send("Page.navigate", { url: "about:blank" });
  await send("Page.navigate", { url });
  await until("document.readyState === 'complete' && !!document.getElementById('doctor-read')?.onclick");
}

async function picture(name) {
  const { data } = await send("Page.captureScreenshot", { format: "png" });
  fs.writeFileSync(path.join(out, name), Buffer.from(data, "base64"));
}

const look = `({
  findings: [...document.querySelectorAll(".doctor-finding")].map((box) => ({
    title: box.querySelector("h3").textContent, page: box.querySelector("a").getAttribute("href"),
    fix: box.querySelector(".doctor-fix pre")?.textContent ?? "" })),
  status: document.getElementById("doctor-status").textContent,
  focus: document.activeElement.id,
  background: getComputedStyle(document.body).backgroundColor,
  tooWide: document.documentElement.scrollWidth > window.innerWidth,
})`;
const done = `document.querySelectorAll(".doctor-finding").length > 0 || /did not load/.test(document.getElementById("doctor-status").textContent)`;

async function look_at() {
  const { targetInfos } = await send("Target.getTargets");
  const { targetId } = targetInfos.find((target) => target.type === "page");
  session = (await send("Target.attachToTarget", { targetId, flatten: true })).sessionId;
  await send("Page.enable");
  const seen = {};

  // by keyboard alone: the log is in the field, Ctrl+Enter starts
  await open(page);
  await evaluate(`document.getElementById("doctor-log").focus()`);
  await send("Input.insertText", { text: log });
  const key = { key: "Enter", code: "Enter", windowsVirtualKeyCode: 13, modifiers: 2 };
  await send("Input.dispatchKeyEvent", { type: "keyDown", ...key });
  await send("Input.dispatchKeyEvent", { type: "keyUp", ...key });
  await until(done);
  seen.typed = await evaluate(look);
  await picture("light.png");

  await evaluate(`document.body.setAttribute("data-md-color-scheme", "slate")`);
  seen.dark = await evaluate(look);
  await picture("dark.png");

  await send("Emulation.setDeviceMetricsOverride", { width: 390, height: 844, deviceScaleFactor: 1, mobile: true });
  seen.phone = await evaluate(look);
  await picture("phone.png");
  await send("Emulation.clearDeviceMetricsOverride");

  // the link holds the log, and another visit reads it from there
  await evaluate(`document.getElementById("doctor-link").click()`);
  await until(`location.hash.startsWith("#log=")`);
  seen.link = await evaluate("location.href");
  await open(seen.link);
  await until(done);
  seen.linked = await evaluate(look);
  seen.log = await evaluate(`document.getElementById("doctor-log").value`);

  // a log that no link can hold
  await evaluate(`document.getElementById("doctor-log").value =
    Array.from(crypto.getRandomValues(new Uint16Array(30000)), (n) => n.toString(36)).join("\\n");
    document.getElementById("doctor-link").click()`);
  await until(`/too long/.test(document.getElementById("doctor-status").textContent)`);
  seen.tooLong = await evaluate(`[document.getElementById("doctor-status").textContent, location.hash]`);
  return seen;
}

try {
  process.stdout.write(JSON.stringify(await look_at()));
} finally {
  browser.kill();
  server.close();
  await new Promise((resolve) => browser.once("exit", resolve));
  fs.rmSync(profile, { recursive: true, force: true });
}
