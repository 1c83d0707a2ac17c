/** Who uses the page: nobody in particular where access is open; else somebody who has logged in, and may log out. */

const REMEMBERED = "operator";

/** Go to where one logs in, and come back here after. */
export function logIn() {
  location.assign(`/login?${new URLSearchParams({ next: `${location.pathname}${location.search}` })}`);
}

/** The name of who has logged in; where nobody has to, the one remembered here, or "". */
export async function whoIsIt() {
  const told = await session();
  return told && !told.is_open ? told.name : remembered();
}

/** {name, may(scope, site)}: what who asks may do, as the service says; it decides itself, at each request. */
export async function rights() {
  const told = await session();
  if (!told || told.is_open) return { name: "", may: () => true };
  const covers = (site) => told.sites.includes("*") || told.sites.includes(site);
  return { name: told.name, may: (scope, site) => covers(site) && (told.scopes.includes(scope) || told.scopes.includes("admin")) };
}

/** For the next time, where nobody logs in. */
export function remember(name) {
  try {
    localStorage.setItem(REMEMBERED, name);
  } catch {
    // storage is refused in some private modes: it is then asked for again
  }
}

/** Fill in who it is, unless the person has written in the field, and remember what is written. */
export async function signed(field) {
  let isTouched = false;
  field.addEventListener("input", () => (isTouched = true));
  field.addEventListener("change", () => remember(field.value.trim()));
  const name = await whoIsIt();
  if (!isTouched && field.value === "") field.value = name;
}

let asked = null;

/** What the service says of who asks, asked once; null where it does not say, and for nobody. */
function session() {
  asked ??= fetch("/v1/session").then((answer) => (answer.ok ? answer.json() : null)).then((told) => (told?.key ? told : null)).catch(() => null);
  return asked;
}

function remembered() {
  try {
    return localStorage.getItem(REMEMBERED) ?? "";
  } catch {
    return ""; // as above
  }
}

const button = document.getElementById("log-out");
if (button) offerLogOut();

async function offerLogOut() {
  const told = await session();
  if (!told || told.is_open) return; // what the page asks for otherwise leads to the login
  button.title = `Logged in as ${told.name}`;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await fetch("/v1/session", { method: "DELETE" });
    logIn();
  });
}
