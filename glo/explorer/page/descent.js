// L-BFGS (Nocedal, 1980) from one code, as in glo/inference/quasi_newton.py. Whoever uses it computes the losses.

import { project } from "./model.js";
import { codes } from "./points.js";
import { mean } from "./state.js";

const MEMORY = 10; // pairs of steps and gradient differences from which the inverse Hessian is estimated
const [SHRINK, GROW] = [0.3, 2]; // factors on the length of steps after one that raised the loss, and after one that did not
const CURVED = 1e-10; // a pair is used if its curvature is at least this share of the squared gradient difference
// Length of the first step, whose curvature is unknown: a tenth of the mean distance of a code from the mean.
const FIRST = 0.1 * codes.reduce((sum, code) => sum + norm(difference(code, mean)), 0) / codes.length;

export class Descent {
  // start: a code Float32Array [d]. condition: under which it is decoded, or null.
  constructor(start, condition) {
    this.condition = condition;
    this.trial = project(start); // the code whose loss is to be reported next
    this.code = this.trial; // the best code so far
    this.loss = Infinity; // that of the best code
    this.gradient = null;
    this.length = 1;
    this.pairs = [];
  }

  // Take the loss of the trial and its gradient, and choose the next trial.
  report(loss, gradient) {
    if (this.gradient) {
      const [move, change] = [difference(this.trial, this.code), difference(gradient, this.gradient)];
      const curvature = dot(move, change);
      if (curvature > CURVED * dot(change, change)) {
        this.pairs = [...this.pairs, { move, change, curvature }].slice(-MEMORY);
      }
      this.length = loss < this.loss ? Math.min(1, GROW * this.length) : SHRINK * this.length;
    }
    if (loss < this.loss) [this.code, this.loss, this.gradient] = [this.trial, loss, gradient];
    const direction = this.direction();
    this.trial = project(this.code.map((value, i) => value - this.length * direction[i]));
  }

  // The estimate of the inverse Hessian times the gradient, by the two-loop recursion.
  direction() {
    const direction = this.gradient.slice();
    const shares = [];
    const add = (vector, factor) => vector.forEach((value, i) => (direction[i] += factor * value));
    for (const { move, change, curvature } of this.pairs.toReversed()) {
      shares.unshift(dot(move, direction) / curvature);
      add(change, -shares[0]);
    }
    const last = this.pairs.at(-1);
    const scale = last ? last.curvature / dot(last.change, last.change) : FIRST / (norm(direction) || 1);
    direction.forEach((value, i) => (direction[i] = scale * value));
    this.pairs.forEach(({ move, change, curvature }, k) => add(move, shares[k] - dot(change, direction) / curvature));
    return direction;
  }
}

function dot(a, b) {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

function norm(a) {
  return Math.sqrt(dot(a, a));
}

function difference(a, b) {
  return a.map((value, i) => value - b[i]);
}
