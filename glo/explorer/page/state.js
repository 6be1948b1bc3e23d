// What the panels share: the current code and, of a conditional model, the condition.

import { rows, unpack } from "./arrays.js";
import { content } from "./content.js";
import { codes, describe } from "./points.js";

export const mean = unpack(content.directions.mean);
export const conditions = content.condition && rows(content.condition.values); // of the training images
export const current = { code: mean, condition: conditions?.[0] ?? null, source: "the mean code" };

const listeners = [];

// listener(moved): called after a change; `moved` is true if only the code was moved, as by a slider.
export function onChange(listener) {
  listeners.push(listener);
}

// listener(): called after the condition has changed.
export function onCondition(listener) {
  let before = current.condition;
  onChange(() => {
    if (current.condition === before) return;
    before = current.condition;
    listener();
  });
}

// Make a code, which need not be projected, the current one. source: where it comes from, in words.
export function take(code, source, condition = current.condition) {
  Object.assign(current, { code, source, condition });
  listeners.forEach((listener) => listener(false));
}

// Replace the current code by one near it.
export function move(code) {
  current.code = code;
  listeners.forEach((listener) => listener(true));
}

// Make the code and the condition of a training image the current ones.
export function takeRow(row) {
  take(codes[row], describe(row), conditions?.[row] ?? null);
  announce(`Took the code of ${describe(row)}.`);
}

const status = document.getElementById("status");

// Tell the user something, who may not see the page.
export function announce(text) {
  status.textContent = text;
}
