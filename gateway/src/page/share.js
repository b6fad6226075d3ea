// Operations as a link: whoever opens it has them in the form.
const toText = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

function pipelineLink(steps) {
  const text = toText(new TextEncoder().encode(JSON.stringify(steps)));
  return `${location.origin}${location.pathname}#pipeline=${text}`;
}

// Throws where the text is no list of calls.
function pipelineOf(text) {
  let steps;
  try {
    steps = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(toBytes(text)));
  } catch {
    throw new Error("The link's operations cannot be read.");
  }
  const call = (step) => typeof step === "object" && step !== null && typeof step.op === "string";
  if (!Array.isArray(steps) || !steps.every(call)) throw new Error("The link's operations cannot be read.");
  return steps;
}

// The operations that the address brought, if it brought any.
async function takePipeline() {
  const text = brought.get("pipeline");
  brought.delete("pipeline");
  if (!text) return;
  try {
    const steps = pipelineOf(text);
    const there = byId("steps").children.length > 0;
    if (there && !(await ask("Put the link's operations in place of those in the form?", "Put them in place", "Leave the form"))) return;
    await setSteps(steps);
    say("notice", "The operations of the link are in the form.");
  } catch (error) {
    say("notice", error.message);
  }
}

byId("share").addEventListener("click", async () => {
  try {
    const steps = readSteps();
    if (steps.length === 0) throw new Error("There are no operations to share yet.");
    const link = byId("share-link");
    link.value = pipelineLink(steps);
    link.hidden = false;
    link.select();
    say("form-notice", "");
    await navigator.clipboard.writeText(link.value);
    say("form-notice", "The link is copied.");
  } catch (error) {
    // Where the clipboard is not to be had, the link is there to be copied by hand.
    if (byId("share-link").hidden) say("form-notice", error.message);
  }
});
