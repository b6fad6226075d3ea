// Operations that are kept in this browser under a name, for the next time; those of one user.
const presetsOf = () => `sundog-presets:${me?.user ?? ""}`;
const OURS = { Enhance: [{ op: "clahe" }, { op: "sharpen", amount: 0.5 }], Thumbnails: [{ op: "thumbnail", size: 256 }], Edges: [{ op: "grayscale" }, { op: "canny" }] };

function ownPresets() {
  try {
    const found = JSON.parse(localStorage.getItem(presetsOf()) ?? "{}");
    return typeof found === "object" && found !== null ? found : {};
  } catch {
    return {};
  }
}

function showPresets(chosen) {
  const option = (value) => element("option", { value, textContent: value });
  const own = Object.keys(ownPresets()).sort();
  const groups = [element("optgroup", { label: "Usual" }, ...Object.keys(OURS).map(option))];
  if (own.length > 0) groups.unshift(element("optgroup", { label: "Kept in this browser" }, ...own.map(option)));
  byId("presets").replaceChildren(...groups);
  if (chosen) byId("presets").value = chosen;
  presetChosen();
}

function presetChosen() {
  byId("preset-remove").hidden = !Object.hasOwn(ownPresets(), byId("presets").value);
}

function keepPresets(all, chosen, said) {
  localStorage.setItem(presetsOf(), JSON.stringify(all));
  showPresets(chosen);
  say("form-notice", said);
}

byId("presets").addEventListener("change", presetChosen);
byId("preset-use").addEventListener("click", async () => {
  const name = byId("presets").value;
  try {
    await setSteps(ownPresets()[name] ?? OURS[name]);
    say("form-notice", "");
  } catch (error) {
    say("form-notice", error.message);
  }
});
byId("preset-save").addEventListener("click", () => {
  const name = byId("preset-name").value.trim();
  try {
    const steps = readSteps();
    if (name === "") throw new Error("Give the preset a name.");
    if (Object.hasOwn(OURS, name)) throw new Error(`${name} is a usual preset; choose another name.`);
    if (steps.length === 0) throw new Error("There are no operations to save yet.");
    keepPresets({ ...ownPresets(), [name]: steps }, name, `${name} is kept in this browser.`);
    byId("preset-name").value = "";
  } catch (error) {
    say("form-notice", error.message);
  }
});
byId("preset-remove").addEventListener("click", () => {
  const { [byId("presets").value]: gone, ...others } = ownPresets();
  keepPresets(others, undefined, "The preset is gone.");
  byId("presets").focus();
});
