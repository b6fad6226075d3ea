// Whose page this is: the token of the session, who it is, and the change from one user to another. A change begins the
// page anew, so that nothing of a former user stays on it.
const TOKEN = "sundog-token";
const WHY = "sundog-why";
// The user, once it is known; what is kept in this browser is kept for one user.
let me = null;

// What came in the address bar, where no server sees it; out of it at once.
const brought = new URLSearchParams();

function takeFragment() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (!fragment.has("token") && !fragment.has("pipeline")) return;
  for (const [key, value] of fragment) brought.set(key, value);
  history.replaceState(null, "", location.pathname + location.search);
}

// Asks in the page; the answer is a promise of yes or no.
function ask(question, yes, no) {
  return new Promise((answer) => {
    const box = byId("question");
    const before = document.activeElement;
    const say = (value) => () => {
      box.hidden = true;
      before?.focus();
      answer(value);
    };
    const button = (textContent, value) => element("button", { type: "button", textContent, onclick: say(value) });
    const first = button(no, false);
    box.replaceChildren(element("p", { id: "question-text", textContent: question }),
      element("div", { className: "row" }, first, button(yes, true)));
    box.hidden = false;
    first.focus();
  });
}

// Whose a token is; null where nobody knows it any more.
async function userOf(token) {
  const answer = await fetch("/v1/me", { headers: { Authorization: `Bearer ${token}` } });
  return answer.status === 401 ? null : (await answer.json()).user;
}

// The session's token, null if there is none, undefined where the page begins anew. A link with another one replaces it only
// where the user says so.
async function takeToken() {
  takeFragment();
  try {
    const signedIn = await comeBack();
    if (signedIn !== null) {
      sessionStorage.setItem(TOKEN, signedIn);
      return signedIn;
    }
  } catch (error) {
    sessionStorage.setItem(WHY, error.message);
  }
  const held = sessionStorage.getItem(TOKEN);
  const given = brought.get("token");
  brought.delete("token");
  if (!given || given === held) return held;
  const who = held === null ? null : await userOf(held);
  if (who === null) {
    sessionStorage.setItem(TOKEN, given);
    return given;
  }
  const text = `This link is for another session. Go on with that of ${who}, which is open here, or begin the other one? What is not sent yet is lost then.`;
  if (!(await ask(text, "Begin the other one", "Go on here"))) return held;
  begin(given);
  return undefined;
}

// Begins the page anew, with another token or with none.
function begin(token, why = "") {
  if (token === null) sessionStorage.removeItem(TOKEN);
  else sessionStorage.setItem(TOKEN, token);
  sessionStorage.setItem(WHY, why);
  // Nothing more is sent or shown until then.
  byId("app").hidden = true;
  location.reload();
}

function askForToken() {
  const why = sessionStorage.getItem(WHY);
  sessionStorage.removeItem(WHY);
  byId("login").hidden = false;
  say("notice", why || "Open the link that the service printed, sign in, or enter your token.");
  offerSignIn();
}

async function showMe() {
  me = await call("GET", "/v1/me");
  if (cutOff() === null) keepSending(null);
  say("who", me.user);
  byId("session").hidden = false;
  byId("session").title = `${sizeText(me.usage.upload_bytes + me.usage.job_bytes)} in ${me.usage.jobs} jobs and ${me.usage.uploads} uploads`;
}

byId("sign-out").addEventListener("click", () => {
  // What was on its way is nobody's business any more.
  keepSending(null);
  begin(null, "You are signed out.");
});
byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = byId("token").value.trim();
  byId("token").value = "";
  if (token !== "") begin(token);
});
// Browsers may keep a page as it was when somebody went away from it.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
