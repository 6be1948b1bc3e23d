// What the panels share: the current code and, of a conditional model, the condition.

import { unpack } from "./arrays.js";
import { content } from "./content.js";

export const mean = unpack(content.directions.mean);
export const current = { code: mean, condition: null, source: "the mean code" };

const listeners = [];

// listener(moved): called after a change; `moved` is true if only the code was moved, as by a slider.
export function onChange(listener) {
  listeners.push(listener);
}

// Make a code, which need not be projected, the current one. source: where it comes from, in words.
export function take(code, source) {
  Object.assign(current, { code, source });
  listeners.forEach((listener) => listener(false));
}

// Replace the current code by one near it.
export function move(code) {
  current.code = code;
  listeners.forEach((listener) => listener(true));
}

const status = document.getElementById("status");

// Tell the user something, who may not see the page.
export function announce(text) {
  status.textContent = text;
}
