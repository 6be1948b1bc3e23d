// A code for any point of the map, from the codes of the nearest points (Shepard's method, modified).

import { codes, positions } from "./points.js";

const NEIGHBORS = 6;

// The code at (x, y), which varies continuously with it and is a training image's own code at its point. The weights
// are (1 / distance - 1 / R)^2, where R is the distance of the first point that is left out: they vanish there.
export function blend(x, y) {
  const near = nearestPoints(x, y, NEIGHBORS + 1);
  if (near[0].distance < 1e-9 || near.length === 1) return codes[near[0].row];
  const radius = near.length > NEIGHBORS ? near.pop().distance : Infinity;
  const weights = near.map(({ distance }) => (1 / distance - 1 / radius) ** 2);
  const total = weights.reduce((sum, weight) => sum + weight);
  if (!total) return codes[near[0].row];
  const code = new Float32Array(codes[0].length);
  near.forEach(({ row }, i) => codes[row].forEach((value, j) => (code[j] += (weights[i] / total) * value)));
  return code;
}

// The k points nearest to (x, y) by rows, with their distances, nearest first.
export function nearestPoints(x, y, k) {
  const found = [];
  positions.forEach((position, row) => {
    const distance = Math.hypot(position[0] - x, position[1] - y);
    if (found.length === k && distance >= found[k - 1].distance) return;
    const place = found.findIndex((other) => other.distance > distance);
    found.splice(place < 0 ? found.length : place, 0, { row, distance });
    if (found.length > k) found.pop();
  });
  return found;
}
