// Opens every page of a built site in a headless Chromium, as wide as a laptop and as a phone, and types into the search:
//   node tools/docs/look_at_site.mjs CHROMIUM SITE OUT < {"pages": ["", "api/", …], "words": ["fp16", …]}
// Standard output is a JSON object, which tools/docs/check_site.py judges; OUT gets pictures of the first page.
import fs from "node:fs";
import path from "node:path";
import { start } from "./chromium.mjs";

const [chromium, site, out] = process.argv.slice(2);
const { pages, words } = JSON.parse(fs.readFileSync(0, "utf-8"));
const { address, send, evaluate, until, open, screen, picture, close } = await start(chromium, site);

const look = `({
  height: document.documentElement.scrollHeight,
  tooWide: document.documentElement.scrollWidth > window.innerWidth,
  cutTables: [...document.querySelectorAll(".md-typeset__scrollwrap")]
    .filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => box.textContent.trim().slice(0, 40)),
  lost: [...document.querySelectorAll(".md-content img")].filter((image) => !image.naturalWidth).map((image) => image.src),
  named: [...document.querySelectorAll(".md-content a")].map((link) => link.textContent).filter((text) => /^[\\w-]+\\.md$/.test(text)),
})`;
const loaded = "[...document.images].every((image) => image.complete)";

async function look_at() {
  const seen = { laptop: {}, phone: {}, found: {} };
  for (const [name, width, height] of [["laptop", 1400, 1000], ["phone", 390, 844]]) {
    await screen(width, height, name === "phone");
    for (const page of pages) {
      await open(address + page, loaded);
      seen[name][page] = await evaluate(look);
      if (page === "") await picture(path.join(out, `first-${name}.png`));
    }
  }
  await screen(1400, 1000, false);
  await open(address, loaded);
  const scheme = `document.body.getAttribute("data-md-color-scheme")`;
  seen.schemes = [await evaluate(scheme)];
  await evaluate(`[...document.querySelectorAll("form[data-md-component=palette] label")].find((it) => !it.hidden).click()`);
  seen.schemes.push(await evaluate(scheme));
  await picture(path.join(out, "first-dark.png"));
  seen.repository = await evaluate(`document.querySelector(".md-header__source a")?.href ?? ""`);

  for (const word of words) {
    await open(address, "document.querySelector('.md-search__input')");
    await evaluate(`document.querySelector(".md-search__input").focus()`);
    await until(`/Type to start/.test(document.querySelector(".md-search-result__meta").textContent)`);
    await send("Input.insertText", { text: word });
    await until(`/matching/.test(document.querySelector(".md-search-result__meta").textContent)`);
    seen.found[word] = await evaluate(`[...document.querySelectorAll(".md-search-result__link")].map((link) => new URL(link.href).pathname)`);
  }
  return seen;
}

try {
  process.stdout.write(JSON.stringify(await look_at()));
} finally {
  await close();
}
