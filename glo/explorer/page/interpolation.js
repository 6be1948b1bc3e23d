// Codes on paths, as in glo/inference/interpolation.py and analogy.py.

import { project } from "./model.js";

export function linear(a, b, t) {
  return a.map((value, i) => (1 - t) * value + t * b[i]);
}

// Spherical interpolation (Shoemake, 1985) of the directions; norms change linearly. A line where the arc is not unique.
export function arc(a, b, t) {
  const [normA, normB] = [Math.hypot(...a), Math.hypot(...b)];
  const cosine = normA > 0 && normB > 0 ? a.reduce((sum, value, i) => sum + value * b[i], 0) / (normA * normB) : 1;
  const angle = Math.acos(Math.min(Math.max(cosine, -1), 1));
  if (Math.sin(angle) < 1e-4) return linear(a, b, t);
  const [shareA, shareB] = [Math.sin((1 - t) * angle) / normA, Math.sin(t * angle) / normB];
  const norm = ((1 - t) * normA + t * normB) / Math.sin(angle);
  return a.map((value, i) => (shareA * value + shareB * b[i]) * norm);
}

// Codes from each waypoint to the next, `steps` on each part, ends included.
export function along(waypoints, curve, steps) {
  const codes = [waypoints[0]];
  for (let i = 1; i < waypoints.length; i++) {
    for (let step = 1; step < steps; step++) codes.push(curve(waypoints[i - 1], waypoints[i], step / (steps - 1)));
  }
  return codes;
}

// A : B :: C : D with D = C + B - A, and the codes between the four, row by row: A and B at the ends of the first row.
export function parallelogram([a, b, c], steps) {
  const d = project(c.map((value, i) => value + b[i] - a[i]));
  const positions = Array.from({ length: steps }, (_, i) => i / (steps - 1));
  return positions.flatMap((row) =>
    positions.map((column) => project(linear(linear(a, c, row), linear(b, d, row), column))),
  );
}
