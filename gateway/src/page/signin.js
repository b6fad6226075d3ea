// Signing in at a provider: the page draws what binds its answer to this tab, goes there, and takes what it comes back with.
const SIGN_IN = "sundog-sign-in";
// Somebody may be long at the provider, but not for ever.
const SIGN_IN_LASTS = 15 * 60 * 1000;

const drawn = (bytes) => toText(crypto.getRandomValues(new Uint8Array(bytes)));

async function goToProvider(place) {
  if (!crypto.subtle) throw new Error("Browsers sign in over HTTPS alone.");
  const begun = { state: drawn(24), nonce: drawn(24), verifier: drawn(48), issuer: place.issuer, told: place.issuer_is_told, at: Date.now(), fragment: [...brought] };
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(begun.verifier));
  sessionStorage.setItem(SIGN_IN, JSON.stringify(begun));
  const url = new URL(place.authorization_endpoint);
  const asked = {
    response_type: "code", client_id: place.client_id, redirect_uri: place.redirect_uri, scope: place.scope,
    state: begun.state, nonce: begun.nonce, code_challenge: toText(new Uint8Array(digest)), code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
  location.assign(url);
}

// The token for what the provider sent along, null where it sent nothing. Throws in words where that is not of a sign-in that
// this tab began, or was refused.
async function comeBack() {
  const answer = new URLSearchParams(location.search);
  if (!answer.has("state") || !(answer.has("code") || answer.has("error"))) return null;
  history.replaceState(null, "", location.pathname + location.hash);
  let begun = null;
  try {
    begun = JSON.parse(sessionStorage.getItem(SIGN_IN));
  } catch {
    // Nobody began.
  }
  // Once alone, whatever comes of it.
  sessionStorage.removeItem(SIGN_IN);
  if (!begun || begun.state !== answer.get("state") || Date.now() - begun.at > SIGN_IN_LASTS) {
    throw new Error("That sign-in was not begun here, or too long ago. Sign in again.");
  }
  if (begun.told ? answer.get("iss") !== begun.issuer : answer.has("iss") && answer.get("iss") !== begun.issuer) {
    throw new Error("Another provider than the one that was asked sent you here. Sign in again.");
  }
  for (const [name, value] of begun.fragment) if (name !== "token") brought.set(name, value);
  if (answer.has("error")) throw new Error(answer.get("error") === "access_denied" ? "You did not sign in." : "The provider did not let you sign in.");
  const sent = await fetch("/v1/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ code: answer.get("code"), verifier: begun.verifier, nonce: begun.nonce }),
  });
  const told = await sent.json();
  if (!sent.ok) throw new Error(told.detail);
  return told.token;
}

// Shows the way to the provider, where there is one.
async function offerSignIn() {
  const button = byId("sign-in");
  try {
    const answer = await fetch("/v1/login");
    const { oidc } = await answer.json();
    button.hidden = !oidc;
    if (!oidc) return;
    button.textContent = `Sign in at ${new URL(oidc.issuer).host}`;
    button.onclick = () => {
      button.disabled = true;
      goToProvider(oidc).catch((error) => {
        button.disabled = false;
        say("notice", error.message);
      });
    };
  } catch {
    // Whoever has a token can still use it.
  }
}
