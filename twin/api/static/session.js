/** Who uses the page: nobody in particular where access is open; else somebody who has logged in, and may log out. */

/** Go to where one logs in, and come back here after. */
export function logIn() {
  location.assign(`/login?${new URLSearchParams({ next: `${location.pathname}${location.search}` })}`);
}

const button = document.getElementById("log-out");
if (button) offerLogOut();

async function offerLogOut() {
  const answer = await fetch("/v1/session").catch(() => null);
  if (!answer?.ok) return; // what the page asks for otherwise leads to the login
  const { is_open, name } = await answer.json();
  if (is_open) return;
  button.title = `Logged in as ${name}`;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await fetch("/v1/session", { method: "DELETE" });
    logIn();
  });
}
