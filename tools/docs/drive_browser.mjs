// Uses the page what-broke.md of a built site as a person does, in a headless Chromium, and writes what it saw:
//   node tools/docs/drive_browser.mjs CHROMIUM SITE OUT < log
// OUT gets light.png, dark.png and phone.png; standard output a JSON object, which tools/docs/check_page.py judges.
import fs from "node:fs";
import path from "node:path";
import { start } from "./chromium.mjs";

const [chromium, site, out] = process.argv.slice(2);
const log = fs.readFileSync(0, "utf-8");
const { address, send, evaluate, until, open, screen, picture, close } = await start(chromium, site);
const page = `${address}what-broke/`;
const ready = `document.getElementById("doctor-read")?.onclick`;

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
  const seen = {};

  // by keyboard alone: the log is in the field, Ctrl+Enter starts
  await open(page, ready);
  await evaluate(`document.getElementById("doctor-log").focus()`);
  await send("Input.insertText", { text: log });
  const key = { key: "Enter", code: "Enter", windowsVirtualKeyCode: 13, modifiers: 2 };
  await send("Input.dispatchKeyEvent", { type: "keyDown", ...key });
  await send("Input.dispatchKeyEvent", { type: "keyUp", ...key });
  await until(done);
  seen.typed = await evaluate(look);
  await picture(path.join(out, "light.png"));

  await evaluate(`document.body.setAttribute("data-md-color-scheme", "slate")`);
  seen.dark = await evaluate(look);
  await picture(path.join(out, "dark.png"));

  await screen(390, 844, true);
  seen.phone = await evaluate(look);
  await picture(path.join(out, "phone.png"));
  await send("Emulation.clearDeviceMetricsOverride");

  // the link holds the log, and another visit reads it from there
  await evaluate(`document.getElementById("doctor-link").click()`);
  await until(`location.hash.startsWith("#log=")`);
  seen.link = await evaluate("location.href");
  await open(seen.link, ready);
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
  await close();
}
