// New codes from the sampler that glo/explorer/sampling.py describes.

import { rows, tensor, unpack } from "./arrays.js";
import { content } from "./content.js";
import { matrix, pause, project } from "./model.js";
import { normal, uniform } from "./random.js";

const sampler = content.sampler;
const dimension = content.dimension;
const arrays = Object.fromEntries(
  Object.entries(sampler).filter(([, value]) => value.base64).map(([key, value]) => [key, tensor(value)]),
);

export const isStock = sampler.kind === "stock";
export const stockSize = isStock ? sampler.centers.shape[0] : 0;
export const hasTemperature = !isStock || "deviations" in sampler;
// Standard normal numbers from which `transform` computes a code.
export const noiseDimension = sampler.kind === "mixture" && sampler.ends.shape[0] ? dimension + 1 : dimension;

// n codes, projected, of a seed: an unsigned number of 32 bits.
export async function draw(n, seed, temperature) {
  const codes = isStock ? fromStock(n, seed, temperature) : await transform(normal(seed, n, noiseDimension), temperature);
  return codes.map(project);
}

// Codes, not projected, of rows of standard normal noise.
export async function transform(noise, temperature) {
  return { mixture, imle, flow }[sampler.kind](noise, temperature);
}

const stock = isStock ? { centers: rows(sampler.centers), deviations: sampler.deviations && rows(sampler.deviations) } : null;

function fromStock(n, seed, temperature) {
  const random = uniform(seed);
  return Array.from({ length: n }, () => {
    const row = Math.floor(random() * stockSize);
    const deviation = stock.deviations?.[row];
    return deviation ? stock.centers[row].map((value, i) => value + temperature * deviation[i]) : stock.centers[row];
  });
}

async function mixture(noise, temperature) {
  const [centers, ends] = [rows(sampler.centers), unpack(sampler.ends)];
  const shared = sampler.factors.shape[0] === 1;
  const codes = [];
  for (const row of noise) {
    const chosen = ends.length ? searchSorted(ends, cumulative(row[0])) : 0;
    const product = tf.tidy(() => {
      const factor = arrays.factors.slice([shared ? 0 : chosen, 0, 0], [1, dimension, dimension]).squeeze([0]);
      return matrix([row.subarray(row.length - dimension)]).matMul(factor).mul(temperature);
    });
    const deviation = await product.data();
    product.dispose();
    codes.push(centers[chosen].map((value, i) => value + deviation[i]));
  }
  return codes;
}

async function imle(noise, temperature) {
  return read(tf.tidy(() => {
    const x = matrix(noise).mul(temperature);
    return x.matMul(arrays.linear).add(residual(x));
  }));
}

// Heun's method, as in glo/samplers/flow.py.
async function flow(noise, temperature) {
  let x = tf.tidy(() => matrix(noise).mul(temperature));
  const h = 1 / sampler.steps;
  for (let step = 0; step < sampler.steps; step++) {
    const next = tf.tidy(() => {
      const slope = velocity(x, step * h);
      return x.add(slope.add(velocity(x.add(slope.mul(h)), (step + 1) * h)).mul(h / 2));
    });
    x.dispose();
    x = next;
    await pause();
  }
  const codes = tf.tidy(() => x.matMul(arrays.root).add(arrays.mean));
  x.dispose();
  return read(codes);
}

function velocity(x, t) {
  const features = arrays.first.shape[0] - dimension;
  const cosines = Array.from({ length: features }, (_, i) => Math.cos(Math.PI * t * i));
  const input = tf.concat([x, tf.tile(tf.tensor2d([cosines]), [x.shape[0], 1])], 1);
  return x.mul((2 * t - 1) / ((1 - t) ** 2 + t ** 2)).add(residual(input));
}

// Layers h + silu(W h + b) between two linear ones, as in glo/samplers/network.py.
function residual(x) {
  let h = x.matMul(arrays.first).add(arrays.first_bias);
  const inner = arrays.inner.unstack();
  const biases = arrays.inner_bias.unstack();
  inner.forEach((weights, i) => {
    const y = h.matMul(weights).add(biases[i]);
    h = h.add(y.mul(y.sigmoid()));
  });
  return h.matMul(arrays.last).add(arrays.last_bias);
}

async function read(codes) {
  const values = await codes.data();
  codes.dispose();
  return Array.from({ length: values.length / dimension }, (_, i) => values.slice(i * dimension, (i + 1) * dimension));
}

// The number of ends that are at most u: the component that a uniform number chooses.
function searchSorted(ends, u) {
  let [low, high] = [0, ends.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle] <= u) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The standard normal distribution function, by the error function of Abramowitz and Stegun (7.1.26, error 1.5e-7).
function cumulative(x) {
  const z = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * z);
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const upper = 0.5 * series * Math.exp(-z * z);
  return x < 0 ? upper : 1 - upper;
}
