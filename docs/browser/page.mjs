// The page what-broke.md: what is typed, pasted or dropped goes to the worker, and its answers onto the page.
// Texts of a log are put in as texts, never as HTML.

const at = (id) => document.getElementById(id);
const waiting = new Map();
let worker = null;
let count = 0;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function say(text) {
  at("doctor-status").textContent = text;
}

function start() {
  worker = new Worker(new URL("./worker.mjs", import.meta.url), { type: "module" });
  at("doctor-progress").hidden = false;
  worker.onmessage = ({ data }) => {
    if (data.failed) return fail(data.failed);
    if (data.doing) {
      at("doctor-progress").value = data.share;
      at("doctor-progress").hidden = data.share === 1;
      return say(data.share === 1 ? "" : `${data.doing} …`);
    }
    const { resolve, reject } = waiting.get(data.id);
    waiting.delete(data.id);
    data.error ? reject(new Error(data.error)) : resolve(data.answer);
  };
  worker.onerror = () => fail("the browser cannot load it");
}

function fail(why) {
  at("doctor-progress").hidden = true;
  say(`Python did not load here (${why}). Run the doctor on your machine: dcnbuild doctor --log build.log`);
  for (const { reject } of waiting.values()) reject(new Error(why));
  waiting.clear();
}

function ask(name, ...words) {
  if (worker === null) start();
  count += 1;
  const id = count;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, ask: name, words });
  });
}

function commands(lines) {
  const box = element("div", "doctor-fix");
  box.append(element("pre", "", lines.join("\n")));
  const button = element("button", "md-button", "Copy");
  button.type = "button";
  button.onclick = async () => {
    await navigator.clipboard.writeText(lines.join("\n"));
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  };
  box.append(button);
  return box;
}

function finding(item) {
  const box = element("section", `doctor-finding doctor-${item.severity}`);
  const heading = element("h3", "", `${item.severity}: ${item.title}`);
  const link = element("a", "", item.id);
  link.href = `../findings/#${item.id}`;
  box.append(heading, element("p", "", item.cause), link);
  if (item.evidence.length) box.append(element("pre", "doctor-evidence", item.evidence.join("\n")));
  if (item.fix.length) box.append(commands(item.fix));
  return box;
}

async function readLog() {
  const log = at("doctor-log").value;
  if (!log.trim()) return at("doctor-log").focus();
  say("Reading the log …");
  try {
    const found = await ask("findings", log);
    at("doctor-findings").replaceChildren(...found.map(finding));
    say(found.length ? `${found.length} found` : "The log shows no failure that the doctor knows.");
    at("doctor-findings").focus();
  } catch (error) {
    console.error(error);
  }
}

// The log in the address: behind "#", which browsers do not send. Longer addresses are cut by chats and mails.
const LONGEST_LINK = 30000;
const LONGEST_LOG = 5000000;

async function bytesOf(stream) {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function putIntoAddress() {
  const log = at("doctor-log").value;
  if (!log.trim()) return at("doctor-log").focus();
  const bytes = await bytesOf(new Blob([log]).stream().pipeThrough(new CompressionStream("deflate-raw")));
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  if (text.length > LONGEST_LINK) {
    history.replaceState(null, "", location.pathname);
    return say(`The log is too long for a link: ${text.length} letters, ${LONGEST_LINK} at most. Keep the part with the first error.`);
  }
  history.replaceState(null, "", `#log=${text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`);
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is copied. Whoever opens it sees your log.");
  } catch {
    say("The link is in the address bar. Whoever opens it sees your log.");
  }
}

async function takeFromAddress() {
  const [, text] = /^#log=([\w-]+)$/.exec(location.hash) ?? [];
  if (!text || text.length > LONGEST_LINK) return;
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    const whole = await bytesOf(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")));
    if (whole.length > LONGEST_LOG) throw new Error("it is longer than any log that a link is made of");
    at("doctor-log").value = new TextDecoder().decode(whole);
  } catch (error) {
    return say(`This link holds no log that can be read: ${error.message}`);
  }
  await readLog();
}

async function askTorch(event) {
  event.preventDefault();
  const words = ["gpu", "driver", "python", "wish"].map((name) => at(`torch-${name}`).value.trim());
  say("Looking for a torch …");
  try {
    const found = await ask("whichTorch", ...words);
    const said = element("p", "", found.problem || `torch ${found.label}`);
    const reasons = element("ul", "");
    reasons.append(...found.rejected.map((reason) => element("li", "", `not ${reason}`)));
    at("torch-answer").replaceChildren(said, ...(found.lines ?? []).map((line) => commands([line])), reasons);
    say("");
  } catch (error) {
    console.error(error);
  }
}

async function take(files) {
  if (files.length) {
    at("doctor-log").value = await files[0].text();
    await readLog();
  }
}

at("doctor-read").onclick = readLog;
at("doctor-link").onclick = putIntoAddress;
at("doctor-file").onchange = (event) => take(event.target.files);
at("torch-form").onsubmit = askTorch;
at("doctor-log").onkeydown = (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) readLog();
};
const drop = at("doctor-drop");
drop.ondragover = (event) => event.preventDefault();
drop.ondrop = (event) => {
  event.preventDefault();
  take(event.dataTransfer.files);
};
takeFromAddress();
