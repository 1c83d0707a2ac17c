/** What a key may do in the editor, and what of the page that leaves. The service decides itself, at each request. */

export const MAY_NOT_EDIT = "This key may look at the map, and not edit it.";

/** {name, edit, save}: an edited map is checked by the service with `operate`, and kept with `admin`. */
export const permissionsOf = ({ name, may }, site) => ({ name, edit: may("operate", site), save: may("admin", site) });

/** Hide what the key may not use, and say why. */
export function fit({ name, edit, save }, page) {
  const part = (id) => page.getElementById(id);
  const told = edit ? `The key “${name}” may try an edited map and not save it: that takes a key with scope admin.` : `The key “${name}” may look at the map and at what is on it. Editing takes a key with scope operate, and saving one with admin.`;
  part("rights").hidden = save;
  part("rights").textContent = save ? "" : told;
  for (const one of part("save").querySelectorAll(".field, .buttons")) one.hidden = !save;
  part("save").querySelector(".note").hidden = !save;
  if (edit) return;
  for (const id of ["tools", "undo", "redo", "keys-details"]) part(id).hidden = true;
  for (const id of ["faults", "changes"]) part(id).closest("section").hidden = true;
  page.body.dataset.looks = "true"; // the corners of what is chosen are no handles then
}
