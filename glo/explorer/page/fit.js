// Fitting: finding the code of an image with the generator frozen. As run.encode(fast=True), it minimizes the squared
// error by L-BFGS, from the starts of glo/inference/fitting.py.

import { rows, tensor } from "./arrays.js";
import { content } from "./content.js";
import { Descent } from "./descent.js";
import { AT_ONCE, inputs, matrix, pause } from "./model.js";
import { generate } from "./network.js";
import { codes, nearest } from "./points.js";
import { mean } from "./state.js";

const NEAREST = 3; // besides the mean code, fitting starts from the codes of this many nearest training images
const RACING = 2; // starts under each condition, where there are several: the mean code and the nearest
const RACE = 6; // evaluations of every start; only the best goes on
const MOST = 40; // further ones
const [CHECK, TOLERANCE] = [10, 0.01]; // it ends when this many evaluations reduce the loss by at most this share
const prior = content.prior && { mean: tensor(content.prior.mean), whitening: tensor(content.prior.whitening) };

// The conditions under which an image of unknown condition is fitted.
export const candidates = content.condition ? rows(content.condition.candidates) : [null];

// The best code of an image, Float32Array in [-1, 1], and its condition, which is one of `conditions`.
// progress(share, best): called after each round; if it returns false, fitting stops with the best code so far.
export async function fit(image, conditions = candidates, progress = () => true) {
  let starts = [mean, ...nearest(image, NEAREST).map((row) => codes[row])];
  if (conditions.length > 1) starts = starts.slice(0, RACING);
  let descents = conditions.flatMap((condition) => starts.map((start) => new Descent(start, condition)));
  const total = RACE * descents.length + MOST;
  const target = tf.tensor(image, [1, ...content.image]);
  let [done, before] = [0, Infinity];
  try {
    for (let round = 0; round < RACE + MOST; round++) {
      if (round === RACE) descents = [best(descents)];
      await evaluate(descents, target);
      const { loss } = best(descents);
      done += descents.length;
      if (progress(done / total, best(descents)) === false) break;
      if (round < RACE || (round - RACE) % CHECK) continue;
      if (loss > (1 - TOLERANCE) * before) break;
      before = loss;
    }
  } finally {
    target.dispose();
  }
  const { code, condition } = best(descents);
  return { code, condition };
}

function best(descents) {
  return descents.reduce((a, b) => (b.loss < a.loss ? b : a));
}

// Report the loss at the trial of each descent, and its gradient.
async function evaluate(descents, target) {
  for (let start = 0; start < descents.length; start += AT_ONCE) {
    const batch = descents.slice(start, start + AT_ONCE);
    const conditions = batch.map(({ condition }) => condition);
    let losses = null;
    const { value, grad } = tf.valueAndGrad((z) => {
      losses = tf.keep(loss(z, conditions, target));
      return losses.sum();
    })(matrix(batch.map(({ trial }) => trial)));
    const [values, gradients] = await Promise.all([losses.data(), grad.data()]);
    tf.dispose([value, grad, losses]);
    const d = content.dimension;
    batch.forEach((descent, i) => descent.report(values[i], gradients.slice(i * d, (i + 1) * d)));
    await pause();
  }
}

// The mean squared error of each code of a tensor [n, d], plus the prior.
function loss(z, conditions, target) {
  const errors = tf.squaredDifference(generate(inputs(z, conditions)), target).mean([1, 2, 3]);
  return prior ? errors.add(z.sub(prior.mean).matMul(prior.whitening).square().sum(1)) : errors;
}
