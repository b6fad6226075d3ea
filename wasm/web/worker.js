// Works beside the page, so that it stays smooth: opens images, runs pipelines, encodes results. Sends nothing anywhere.
let module = null;
let engine = null;
// What is open: kept, so that it can be opened again when the module has ended abnormally.
let source = null;

async function started() {
  if (!module) {
    const answer = await fetch(new URL("sundog.wasm", self.location.href));
    if (!answer.ok) throw new Error(`the module cannot be loaded: answer ${answer.status}`);
    module = await WebAssembly.compile(await answer.arrayBuffer());
  }
  if (engine) return engine;
  engine = await Engine.of(module);
  if (source) await show(source);
  return engine;
}

// The module reads most formats itself, with all their bits; what it does not read, browsers may.
async function show(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let refusal;
  try {
    return { ...engine.open(bytes), by: "sundog" };
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) throw error;
    refusal = error;
  }
  let picture;
  try {
    picture = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new Error(`This image cannot be shown: ${refusal.message}`);
  }
  const { width, height } = picture;
  if (width * height > 100e6) throw new Error(`This image has ${width} × ${height} pixels, too many for a page.`);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  picture.close();
  const { data } = context.getImageData(0, 0, width, height);
  return { ...engine.take(data, width, height), by: "browser" };
}

function side(number) {
  return { pixels: engine.shown(number).buffer, histograms: engine.histograms(number) };
}

const work = {
  registry: () => engine.registry(),
  parse: ({ text }) => engine.parse(text),
  async open({ blob }) {
    source = null;
    const state = await show(blob);
    source = blob;
    return { state, before: side(0) };
  },
  run({ pipeline }) {
    const begun = performance.now();
    const state = engine.run(pipeline);
    const ms = performance.now() - begun;
    return { state, ms, after: side(1) };
  },
  encode: ({ format }) => ({ bytes: engine.encode(format).buffer }),
};

async function answer({ id, kind, ...fields }) {
  try {
    await started();
    const said = await work[kind](fields);
    const moved = [said.before?.pixels, said.after?.pixels, said.bytes].filter(Boolean);
    self.postMessage({ id, said }, moved);
  } catch (error) {
    let { message } = error;
    if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) {
      engine = null;
      message = "This took more memory than a page has. A smaller image will do, or a job on a machine.";
    }
    self.postMessage({ id, error: message });
  }
}

// One after the other.
let last = Promise.resolve();
self.onmessage = ({ data }) => {
  last = last.then(() => answer(data));
};
