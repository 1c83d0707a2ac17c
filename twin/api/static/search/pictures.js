/** Pictures from a person: dropped, chosen or pasted, and whether they are worth sending. */

import { put } from "../elements.js";

const LARGEST_BYTES = 20 * 1024 * 1024;

/**
 * Take pictures from everywhere a person may give them.
 *
 * @param {HTMLElement} area where they are dropped; holds the file chooser
 * @param {(files: File[]) => void} take
 */
export function acceptPictures(area, take) {
  const given = (files) => files.length > 0 && take([...files]);
  const input = area.querySelector("input[type=file]");
  input.addEventListener("change", () => {
    given([...input.files]);
    input.value = ""; // the same file may be chosen again
  });
  // Without this a picture dropped beside the area would replace the page.
  for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
  area.addEventListener("dragover", () => put(area, "data-over", "true"));
  for (const name of ["dragleave", "drop"]) area.addEventListener(name, () => put(area, "data-over", null));
  area.addEventListener("drop", (event) => given(event.dataTransfer.files));
  document.addEventListener("paste", (event) => given(event.clipboardData.files));
}

/** Why a file is not worth sending, or null. */
export function refusalOf({ size, type, name }) {
  if (size === 0) return `${name || "The file"} is empty (0 bytes). Give a JPEG or PNG picture of the vehicle.`;
  if (size > LARGEST_BYTES) return `${name || "The file"} has ${(size / 1048576).toFixed(0)} MiB; give a picture under ${LARGEST_BYTES / 1048576} MiB.`;
  if (type && !type.startsWith("image/")) return `${name || "The file"} is ${type}, not a picture. Give a JPEG or PNG picture of the vehicle.`;
  return null;
}
