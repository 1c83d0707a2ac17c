/** Dark or light: the system's choice, unless the person made one. */

const KEY = "theme";
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

/** @param {HTMLButtonElement} button switches between the two; its name says to what */
export function startTheme(button) {
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";
  const rename = () => button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} theme`);
  const chosen = remembered();
  if (chosen) root.dataset.theme = chosen;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember(root.dataset.theme);
    rename();
  });
  prefersDark.addEventListener("change", rename);
  rename();
}

function remembered() {
  try {
    const chosen = localStorage.getItem(KEY);
    return chosen === "dark" || chosen === "light" ? chosen : null;
  } catch {
    return null; // storage is refused in some private modes; the system's choice stands
  }
}

function remember(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // as above: the choice then lasts as long as the page
  }
}
