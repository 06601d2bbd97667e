// Reads logs with the doctor of a built site, in Pyodide under node:
//   node tools/docs/check_browser.mjs site < logs.json > findings.json
// logs.json is an object of logs by name, findings.json the same of findings, and "" has the answer about a torch.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const base = pathToFileURL(`${path.resolve(process.argv[2])}/browser/`);
const read = async (url) => new Uint8Array(fs.readFileSync(url)).buffer;
const logs = JSON.parse(fs.readFileSync(0, "utf-8")); // before Pyodide, which takes standard input for itself
const { doctor } = await import(new URL("doctor.mjs", base).href);
const { findings, whichTorch } = await doctor(base, read);
const answers = Object.fromEntries(Object.entries(logs).map(([name, log]) => [name, findings(log)]));
answers[""] = whichTorch("RTX 5090", "570", "3.12", "latest");
process.stdout.write(JSON.stringify(answers));
