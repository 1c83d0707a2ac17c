/** A list kept by key: rows are reused and moved, so focus and scroll stay where the person put them. */

export class Rows {
  #root;
  #rows = new Map();
  #make;
  #fill;

  /**
   * @param {HTMLElement} root the list
   * @param make key => element
   * @param fill (element, item) => void
   */
  constructor(root, make, fill) {
    this.#root = root;
    this.#make = make;
    this.#fill = fill;
  }

  /** @param {[key: string, item][]} items in the order to show */
  show(items) {
    const wanted = new Set(items.map(([key]) => key));
    for (const [key, row] of this.#rows) {
      if (wanted.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    let place = this.#root.firstElementChild;
    for (const [key, item] of items) {
      const row = this.#rows.get(key) ?? this.#add(key);
      this.#fill(row, item);
      if (row === place) place = place.nextElementSibling;
      else this.#root.insertBefore(row, place);
    }
  }

  #add(key) {
    const row = this.#make(key);
    this.#rows.set(key, row);
    return row;
  }
}
