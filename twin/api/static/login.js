/** The login: a key is sent once, and the service's answer sets the cookie that stands for it. */

const form = document.getElementById("login");
const field = document.getElementById("key");
const problem = document.getElementById("login-problem");
const button = form.querySelector("button");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  problem.textContent = "";
  button.disabled = true;
  const trouble = await send(field.value.trim());
  button.disabled = false;
  if (trouble === null) {
    location.replace(wanted());
    return;
  }
  problem.textContent = trouble;
  field.setAttribute("aria-invalid", "true");
  field.select();
});

/** What went wrong in words, or null. */
async function send(key) {
  if (!key) return "Enter the key.";
  const headers = { "content-type": "application/json" };
  const answer = await fetch("/v1/session", { method: "POST", headers, body: JSON.stringify({ key }) }).catch(() => null);
  if (answer === null) return "The service cannot be reached. Check that it runs, then try again.";
  if (answer.ok || answer.status === 409) return null; // 409: access is open
  return (await answer.json()).detail;
}

/** The page that sent here, if it is one of this service's. */
function wanted() {
  const url = new URL(new URLSearchParams(location.search).get("next") ?? "/", location.origin);
  return url.origin === location.origin && url.pathname !== "/login" ? url.href : "/";
}
