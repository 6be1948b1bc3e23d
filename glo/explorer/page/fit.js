// Fitting: finding the code of an image by gradient descent with the generator frozen, as in glo/inference/fitting.py.

import { tensor } from "./arrays.js";
import { content } from "./content.js";
import { loss } from "./losses.js";
import { inputs, matrix, pause } from "./model.js";
import { generate } from "./network.js";
import { codes as trainingCodes, nearest } from "./points.js";
import { mean } from "./state.js";

const NEAREST = 3; // besides the mean code, fitting starts from the codes of this many nearest training images
const STEPS = 200;
const RACE = 0.15; // share of the steps for which all starts are optimized
const RATE = 20 * 0.001; // ALPHA times ADAM_SCALE
const prior = content.prior && { mean: tensor(content.prior.mean), whitening: tensor(content.prior.whitening) };
const [BETA_1, BETA_2, EPSILON] = [0.5, 0.9, 1e-8];

// The best code of an image, Float32Array in [-1, 1].
// condition: as in `decode`. progress(share, code) is called after each step; fitting stops early, with the best code
// so far, if it returns false.
export async function fit(image, condition = null, progress = () => true) {
  const starts = [mean, ...nearest(image, NEAREST).map((row) => trainingCodes[row])];
  const race = Math.max(1, Math.round(RACE * STEPS));
  const target = tf.tensor(image, [1, ...content.image]);
  try {
    const started = await descend(target, starts, condition, race, (step, code) => progress(step / STEPS, code));
    if (started.stopped) return started.code;
    const rest = (step, code) => progress((race + step) / STEPS, code);
    const finished = await descend(target, [started.code], condition, STEPS - race, rest);
    return finished.loss < started.loss ? finished.code : started.code;
  } finally {
    target.dispose();
  }
}

// Adam from each start, with a step size that falls to 0 along half a cosine; the best code of all steps and starts.
async function descend(target, starts, condition, steps, progress) {
  let codes = tf.tidy(() => projected(matrix(starts)));
  let first = tf.zerosLike(codes);
  let second = tf.zerosLike(codes);
  const best = { code: starts[0], loss: Infinity, stopped: false };
  let perCode = null;
  const differentiate = tf.valueAndGrad((z) => {
    const losses = loss(generate(inputs(z, condition)), target);
    perCode = tf.keep(prior ? losses.add(z.sub(prior.mean).matMul(prior.whitening).square().sum(1)) : losses);
    return perCode.sum();
  });
  for (let step = 0; step < steps && !best.stopped; step++) {
    const { value, grad } = differentiate(codes);
    const [losses, values] = await Promise.all([perCode.data(), codes.data()]);
    losses.forEach((each, i) => {
      if (each < best.loss) {
        best.loss = each;
        best.code = values.slice(i * codes.shape[1], (i + 1) * codes.shape[1]);
      }
    });
    const rate = RATE * (0.5 + 0.5 * Math.cos((Math.PI * step) / steps));
    const updated = tf.tidy(() => {
      const m = first.mul(BETA_1).add(grad.mul(1 - BETA_1));
      const v = second.mul(BETA_2).add(grad.square().mul(1 - BETA_2));
      const [unbiasedM, unbiasedV] = [m.div(1 - BETA_1 ** (step + 1)), v.div(1 - BETA_2 ** (step + 1))];
      return [projected(codes.sub(unbiasedM.div(unbiasedV.sqrt().add(EPSILON)).mul(rate))), m, v];
    });
    tf.dispose([codes, first, second, value, grad, perCode]);
    [codes, first, second] = updated;
    best.stopped = progress(step + 1, best.code) === false;
    await pause();
  }
  tf.dispose([codes, first, second]);
  return best;
}

function projected(codes) {
  if (content.projection === "none") return codes;
  const norms = codes.norm(2, 1, true);
  return codes.div(content.projection === "ball" ? norms.maximum(1) : norms.maximum(1e-38));
}
