// Decoding of codes, Float32Array [d], to images, Float32Array [H * W * C] in [-1, 1].

import { content, height, width } from "./content.js";
import { generate } from "./network.js";

// Codes of a batch, fewer of larger images: between batches, the page reacts.
export const AT_ONCE = Math.min(Math.max(Math.round(8192 / (height * width)), 1), 64);

// Mean milliseconds of the latest decoded images.
export const speed = { milliseconds: NaN };

// z / max(1, |z|), z / |z|, or z, as in training.
export function project(code) {
  if (content.projection === "none") return code;
  const norm = Math.hypot(...code);
  const divisor = Math.max(norm, content.projection === "ball" ? 1 : Number.MIN_VALUE);
  return code.map((value) => value / divisor);
}

// Vectors of equal length, such as codes, as the rows of a tensor.
export function matrix(vectors) {
  return tf.tensor2d(vectors.map((vector) => Array.from(vector)));
}

// The inputs of the generator for a tensor of codes [n, d] and n conditions, which are null without any.
export function inputs(codes, conditions) {
  return conditions[0] ? { code: codes, condition: matrix(conditions) } : { code: codes };
}

// Images of codes, which are not projected. condition: numbers that all of them share, or null.
export async function decode(codes, condition = null) {
  const images = [];
  for (let start = 0; start < codes.length; start += AT_ONCE) {
    if (start) await pause();
    const batch = codes.slice(start, start + AT_ONCE);
    const before = performance.now();
    const output = tf.tidy(() => generate(inputs(matrix(batch), batch.map(() => condition))));
    const values = await output.data();
    output.dispose();
    const size = values.length / batch.length;
    for (let i = 0; i < batch.length; i++) images.push(values.slice(i * size, (i + 1) * size));
    speed.milliseconds = (performance.now() - before) / batch.length;
  }
  return images;
}

// Let the page draw and handle events.
export function pause() {
  return new Promise((resolve) => setTimeout(resolve));
}

// A function that calls an asynchronous one with the latest arguments: while it runs, later calls replace each other.
export function latest(compute) {
  let waiting = null;
  let running = false;
  return async (...args) => {
    waiting = args;
    if (running) return;
    running = true;
    try {
      while (waiting) {
        const current = waiting;
        waiting = null;
        await compute(...current);
        await pause();
      }
    } finally {
      running = false;
    }
  };
}
