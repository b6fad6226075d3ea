// The module's calls: bytes in, bytes out. A call that fails throws what is wrong, in words.
class Engine {
  static async of(module) {
    const engine = new Engine();
    engine.calls = (await WebAssembly.instantiate(module, {})).exports;
    return engine;
  }

  // Addresses beyond 2 GiB come as negative numbers.
  give(bytes) {
    const at = this.calls.room(bytes.length) >>> 0;
    if (at === 0) throw new Error("there is not enough memory for this image on this page");
    new Uint8Array(this.calls.memory.buffer, at, bytes.length).set(bytes);
    return at;
  }

  ask(call, ...numbers) {
    const good = this.calls[call](...numbers);
    const at = this.calls.answer() >>> 0;
    const bytes = new Uint8Array(this.calls.memory.buffer, at, this.calls.answer_len() >>> 0).slice();
    if (good !== 1) throw new Error(new TextDecoder().decode(bytes));
    return bytes;
  }

  json(call, ...numbers) {
    return JSON.parse(new TextDecoder().decode(this.ask(call, ...numbers)));
  }

  registry() {
    return this.json("registry");
  }

  // A file's bytes.
  open(bytes) {
    return this.json("open", this.give(bytes), bytes.length);
  }

  // Pixels that somebody else decoded: red, green, blue, alpha.
  take(pixels, width, height) {
    return this.json("take", this.give(pixels), pixels.length, width, height);
  }

  // A pipeline as in a job file: its text, or a list of steps.
  run(pipeline) {
    const bytes = new TextEncoder().encode(JSON.stringify(pipeline));
    return this.json("run", this.give(bytes), bytes.length);
  }

  // The steps of a pipeline's text.
  parse(text) {
    const bytes = new TextEncoder().encode(text);
    return this.json("parse", this.give(bytes), bytes.length);
  }

  encode(format) {
    const bytes = new TextEncoder().encode(format);
    return this.ask("encode", this.give(bytes), bytes.length);
  }

  // Side 0 is before, 1 is after.
  shown(side) {
    return this.ask("shown", side);
  }

  samples(side) {
    return this.ask("samples", side);
  }

  histograms(side) {
    return this.json("histograms", side);
  }
}
