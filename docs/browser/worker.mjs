// Keeps Python away from the page, which stays usable while it works.
import { doctor } from "./doctor.mjs";

const read = async (url) => (await fetch(url)).arrayBuffer();
const ready = doctor(new URL(".", self.location), read, (share, doing) => postMessage({ share, doing }));

onmessage = async ({ data: { id, ask, words } }) => {
  try {
    postMessage({ id, answer: (await ready)[ask](...words) });
  } catch (error) {
    postMessage({ id, error: String(error.message ?? error) });
  }
};
ready.catch((error) => postMessage({ failed: String(error.message ?? error) }));
