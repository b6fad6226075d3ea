// Files of numbers made here, to try reductions: the same bytes as `sundog generate numbers` makes.
const MOST_NUMBERS = 2000000;
const BITS_64 = (1n << 64n) - 1n;

// SplitMix64, as in the program.
function sequence(start) {
  let state = start;
  return () => {
    state = (state + 0x9e3779b97f4a7c15n) & BITS_64;
    let z = state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & BITS_64;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & BITS_64;
    return z ^ (z >> 31n);
  };
}

function numbersText(seed, file, count) {
  const next = sequence(sequence(seed)() ^ ((file * 0xd1b54a32d192ed03n) & BITS_64));
  const lines = [];
  for (let line = 0; line < count; line += 1) {
    const millionths = Number((next() * 1000000000n) >> 64n);
    lines.push(`${Math.floor(millionths / 1000000)}.${String(millionths % 1000000).padStart(6, "0")}\n`);
  }
  return lines.join("");
}

function wholeField(id) {
  const field = byId(id);
  if (field.value === "" || !field.checkValidity()) throw new Error(`${byId(id).labels[0].textContent}: ${field.validationMessage || "a number is needed"}`);
  return Number(field.value);
}

byId("make").addEventListener("click", async () => {
  const button = byId("make");
  try {
    const [files, count, seed] = ["make-files", "make-count", "make-seed"].map(wholeField);
    if (files * count > MOST_NUMBERS) throw new Error(`${files * count} numbers are more than the ${MOST_NUMBERS} that a page makes: sundog generate numbers makes any.`);
    button.disabled = true;
    const digits = Math.max(4, String(files).length);
    const made = [];
    for (let file = 1; file <= files; file += 1) {
      const text = numbersText(BigInt(seed), BigInt(file - 1), count);
      // The same each time, so that an upload of them goes on, too.
      made.push(new File([text], `numbers-${String(file).padStart(digits, "0")}.txt`, { type: "text/plain", lastModified: 0 }));
      say("make-state", `${file} of ${files} made`);
      await new Promise((go) => setTimeout(go));
    }
    choose(made);
    say("make-state", "");
  } catch (error) {
    say("make-state", error.message);
  }
  button.disabled = false;
});

// The first numbers of a result, where a browser may read them.
async function firstNumbers(url, box) {
  try {
    const answer = await fetch(safeUrl(url), { headers: { Range: "bytes=0-255" } });
    const text = (await answer.text()).split(/[\s,]+/).filter(Boolean);
    const shown = text.slice(0, 5);
    if (answer.ok && shown.every((word) => Number.isFinite(Number(word)))) box.textContent = shown.join("  ") + (text.length > 5 ? "  …" : "");
  } catch {
    // The link is there all the same.
  }
}
