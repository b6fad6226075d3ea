// The page's side of the worker.
class Studio {
  constructor(url) {
    this.worker = new Worker(url);
    this.waiting = new Map();
    this.asked = 0;
    this.busy = false;
    this.next = null;
    this.worker.onmessage = ({ data }) => {
      const { good, bad } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error === undefined) good(data.said);
      else bad(new Error(data.error));
    };
    this.worker.onerror = () => {
      for (const { bad } of this.waiting.values()) bad(new Error("The part of this page that computes could not be loaded."));
      this.waiting.clear();
    };
  }

  ask(kind, fields = {}) {
    this.asked += 1;
    const id = this.asked;
    return new Promise((good, bad) => {
      this.waiting.set(id, { good, bad });
      this.worker.postMessage({ id, kind, ...fields });
    });
  }

  // While one pipeline runs only the newest of the others waits: null for one that another overtook.
  async run(pipeline) {
    this.next?.(false);
    if (this.busy) {
      const mine = await new Promise((go) => {
        this.next = go;
      });
      if (!mine) return null;
    }
    this.next = null;
    this.busy = true;
    try {
      return await this.ask("run", { pipeline });
    } finally {
      this.busy = false;
      const { next } = this;
      this.next = null;
      next?.(true);
    }
  }
}

// Policies that ask for trusted types admit this one address as a script's, and one policy of that name.
let admitted = null;

function workerAddress(address) {
  if (!globalThis.trustedTypes) return address;
  admitted ??= trustedTypes.createPolicy("worker", { createScriptURL: () => address });
  return admitted.createScriptURL("");
}
