// Chosen files on their way: where one was cut off it goes on, in the middle of a file where the store's links can do that.
const AT_ONCE = 4;
const TRIES = 6;
const LONGEST_WAIT = 15000;
const SENDING = "sundog-sending";
// Ends the upload that is under way.
let sending = null;
const GOES_ON = "Start goes on where it stopped.";

// What tells these files from others, without their names: it stays in the browser while the page is loaded again.
function printOf(files) {
  let [high, low] = [0xdeadbeef, 0x41c6ce57];
  for (const char of JSON.stringify(files.map((file) => [nameOf(file), file.size, file.lastModified]))) {
    high = Math.imul(high ^ char.codePointAt(0), 2654435761);
    low = Math.imul(low ^ char.codePointAt(0), 1597334677);
  }
  return `${files.length} ${(high >>> 0).toString(36)} ${(low >>> 0).toString(36)}`;
}

// The upload that was cut off, if there is one of this user: the same announcement again is the same upload.
function cutOff() {
  try {
    const held = JSON.parse(sessionStorage.getItem(SENDING));
    return held && held.user === me?.user ? held : null;
  } catch {
    return null;
  }
}

function keepSending(held) {
  if (held) sessionStorage.setItem(SENDING, JSON.stringify({ user: me?.user, ...held }));
  else sessionStorage.removeItem(SENDING);
  showCutOff();
}

// After the page was loaded again the browser does not give the files out; whoever chooses them again goes on.
function showCutOff() {
  const held = cutOff();
  const shown = held !== null && sending === null;
  byId("cut-off").hidden = !shown;
  if (!shown) return;
  const files = held.count === 1 ? "1 file" : `${held.count} files`;
  const same = chosen.length > 0 && printOf(inOrder(chosen)) === held.print;
  say("cut-off-text", `An upload of ${files} (${sizeText(held.bytes)}) was cut off. ${same ? GOES_ON : "Choose the same files again, and Start goes on where it stopped."}`);
}

const inOrder = (files) => [...files].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));

byId("cut-off-forget").addEventListener("click", async () => {
  const held = cutOff();
  keepSending(null);
  byId("files").focus();
  try {
    if (held?.upload) await call("DELETE", `/v1/uploads/${encodeURIComponent(held.upload)}`);
  } catch {
    // Nothing of it has arrived, or a job takes it.
  }
});

// Sends bytes of a file once; tells how many have gone.
function sendOnce(place, file, at, signal, gone) {
  return new Promise((done, failed) => {
    // Unlike fetch, it tells how far it is.
    const request = new XMLHttpRequest();
    request.open(place.resumable ? "PATCH" : place.method, place.url);
    for (const [name, value] of Object.entries(place.headers ?? {})) request.setRequestHeader(name, value);
    if (place.resumable) {
      request.setRequestHeader("Upload-Offset", at);
      request.setRequestHeader("Upload-Complete", "?1");
    }
    const abort = () => request.abort();
    request.upload.onprogress = (event) => gone(event.loaded);
    request.onload = () => done(request.status);
    request.onerror = () => failed(new Error("the connection broke"));
    request.onabort = () => failed(new Error("cancelled"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    request.send(at === 0 ? file : file.slice(at));
  });
}

// How many bytes of a file are there.
async function arrivedOf(place, file, signal) {
  const answer = await fetch(place.url, { method: "HEAD", cache: "no-store", signal });
  if (!answer.ok) throw new Error(`answer ${answer.status}`);
  const bytes = Number(answer.headers.get("Upload-Offset"));
  const whole = answer.headers.get("Upload-Complete") === "?1";
  // Another file of that name before.
  if (whole && bytes !== file.size) return { bytes: 0, whole: false };
  return { bytes, whole };
}

// Until somebody says that the network is there again, or for so long.
function pause(wait, signal) {
  return new Promise((go) => {
    const timer = setTimeout(go, wait);
    window.addEventListener("online", go, { once: true, signal });
    signal.addEventListener("abort", () => { clearTimeout(timer); go(); }, { once: true });
  });
}

// Sends one file where its link leads, and tries again what may pass: for as long as bytes arrive, and then some times.
async function put(place, file, signal, gone, begun) {
  let at = 0;
  let asks = begun;
  for (let attempt = 1; ; attempt += 1) {
    let reason;
    try {
      if (asks && place.resumable) {
        const there = await arrivedOf(place, file, signal);
        if (there.whole) return;
        if (there.bytes > at) attempt = 1;
        at = there.bytes;
        gone(at);
      }
      asks = true;
      const status = await sendOnce(place, file, at, signal, (bytes) => gone(at + Math.min(bytes, file.size - at)));
      if (status >= 200 && status < 300) return;
      reason = `answer ${status}`;
      // 408, 409 and 429 pass: it came too slowly, is further than was thought, or has no place yet.
      if (status < 500 && ![408, 409, 429].includes(status)) attempt = TRIES;
    } catch (error) {
      reason = error.message;
    }
    if (signal.aborted) throw new Error(`Cancelled. ${GOES_ON}`);
    if (attempt >= TRIES) throw new Error(`${nameOf(file)} could not be sent: ${reason}. ${GOES_ON}`);
    say("form-notice", `${nameOf(file)}: ${reason}. Trying again …`);
    await pause(Math.min(500 * 2 ** attempt, LONGEST_WAIT), signal);
    if (signal.aborted) throw new Error(`Cancelled. ${GOES_ON}`);
    say("form-notice", "");
  }
}

// What has arrived whole of an upload that was begun before.
async function wholeOf(id) {
  const there = new Set();
  try {
    const arrived = await call("GET", `/v1/uploads/${encodeURIComponent(id)}`);
    for (const file of arrived.files) there.add(`${file.bytes} ${file.name}`);
  } catch {
    // No file of it has.
  }
  return there;
}

// Sends all files; returns what a job names as its inputs. Tells the share of bytes that has gone.
async function upload(unordered, progress, signal) {
  const files = inOrder(unordered);
  const announced = files.map((file) => ({ name: nameOf(file), bytes: file.size }));
  const all = files.reduce((sum, file) => sum + file.size, 0);
  const print = printOf(files);
  const before = cutOff();
  const begun = before?.print === print;
  const key = begun ? before.key : crypto.getRandomValues(new Uint32Array(4)).join("-");
  const held = { print, key, count: files.length, bytes: all };
  keepSending(held);
  const { upload: id, inputs, files: places } = await call("POST", "/v1/uploads", { files: announced }, { "Idempotency-Key": key });
  keepSending({ ...held, upload: id });
  const there = begun ? await wholeOf(id) : new Set();
  const gone = files.map(() => 0);
  const tell = (at, bytes) => {
    gone[at] = bytes;
    progress(gone.reduce((sum, more) => sum + more, 0) / (all || 1));
  };
  // The first that fails ends the others; they go on together.
  const end = new AbortController();
  const cancelled = () => end.abort();
  signal.addEventListener("abort", cancelled);
  let failure = null;
  let next = 0;
  const work = async () => {
    while (next < places.length && !end.signal.aborted) {
      const at = next;
      next += 1;
      try {
        if (!there.has(`${files[at].size} ${nameOf(files[at])}`)) await put(places[at], files[at], end.signal, (bytes) => tell(at, bytes), begun);
        tell(at, files[at].size);
      } catch (error) {
        failure ??= error;
        end.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  signal.removeEventListener("abort", cancelled);
  if (signal.aborted) throw new Error(`Cancelled. ${GOES_ON}`);
  if (failure) throw failure;
  keepSending(null);
  return inputs;
}
