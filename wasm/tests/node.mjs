// Runs pipelines in the module under node, for a test that compares with the native program.
//
//   node node.mjs ENGINE.js MODULE.wasm.gz ORDERS.json
//
// ORDERS.json is a list of { file, pipeline, format, to }; prints a line of JSON for each: { ms } or { error }.
import { readFileSync, writeFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const [engineFile, moduleFile, ordersFile] = process.argv.slice(2);
const Engine = new Function(`${readFileSync(engineFile, "utf8")}; return Engine;`)();
const module = await WebAssembly.compile(gunzipSync(readFileSync(moduleFile)));
let engine = await Engine.of(module);
for (const { file, pipeline, format, to } of JSON.parse(readFileSync(ordersFile, "utf8"))) {
  let said;
  try {
    engine.open(new Uint8Array(readFileSync(file)));
    const begun = performance.now();
    engine.run(pipeline);
    const ms = performance.now() - begun;
    writeFileSync(to, engine.encode(format));
    said = { ms };
  } catch (error) {
    // An abnormal end, which no order may have, is told as such.
    if (error instanceof WebAssembly.RuntimeError) said = { trap: String(error.stack) };
    else said = { error: error.message };
    if (said.trap) engine = await Engine.of(module);
  }
  console.log(JSON.stringify(said));
}
