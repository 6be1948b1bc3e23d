// The losses of glo/model/losses.py, of tensors [n, H, W, C] in [-1, 1], to losses [n].

import { content } from "./content.js";

const LOSSES = {
  mse: (x, y) => mean(tf.squaredDifference(x, y)),
  l1: (x, y) => mean(x.sub(y).abs()),
  huber: (x, y, { delta }) => {
    const error = x.sub(y).abs();
    const quadratic = error.minimum(delta);
    return mean(quadratic.square().mul(0.5).add(error.sub(quadratic).mul(delta)));
  },
  lap_l1: laplacian,
  local_moment: (x, y) => {
    const patches = (z) => filtered(z, (n) => windows(n, box(Math.min(4, n)), 2));
    const [meanX, meanY] = [patches(x), patches(y)];
    const variance = (z, average) => patches(z.square()).sub(average.square());
    return mean(meanX.sub(meanY).abs()).add(mean(variance(x, meanX).sub(variance(y, meanY)).abs()));
  },
  pairwise_mse: (x, y) => {
    const error = x.sub(y).reshape([x.shape[0], -1]);
    const squares = error.sub(error.mean(1, true)).square().sum(1);
    return squares.mul(2 / Math.max(error.shape[1] - 1, 1));
  },
  ssim: (x, y) => {
    const weighted = (z) => filtered(z, (n) => windows(n, gaussian(Math.min(11, n), 1.5), 1));
    const [a, b] = [x, y].map((z) => z.add(1).div(2));
    const [meanA, meanB] = [weighted(a), weighted(b)];
    const [means, squares] = [meanA.mul(meanB), meanA.square().add(meanB.square())];
    const luminance = means.mul(2).add(1e-4).div(squares.add(1e-4));
    const covariance = weighted(a.mul(b)).sub(means).mul(2).add(9e-4);
    const variances = weighted(a.square().add(b.square())).sub(squares).add(9e-4);
    return tf.scalar(1).sub(mean(luminance.mul(covariance.div(variances))));
  },
};

// A weighted sum of the above: the loss of the run.
export function loss(prediction, target, sum = content.loss) {
  const terms = sum.map((term) => LOSSES[term.name](prediction, target, term.arguments).mul(term.weight));
  return terms.reduce((total, term) => total.add(term));
}

function laplacian(x, y, { levels, sigma, weights }) {
  let image = x.sub(y);
  const size = x.shape[1] * x.shape[2];
  const pyramid = [];
  while (pyramid.length < levels && Math.min(image.shape[1], image.shape[2]) > 1) {
    const blurred = filtered(image, (n) => blur(n, sigma));
    pyramid.push(image.sub(blurred));
    image = filtered(blurred, (n) => windows(n, box(2), 2));
  }
  const terms = [...pyramid, image].map((level, j) => {
    const share = (level.shape[1] * level.shape[2]) / size;
    return mean(level.abs()).mul({ plain: 1, paper: 4 ** j * share, pixels: share }[weights]);
  });
  return terms.reduce((sum, term) => sum.add(term));
}

function mean(values) {
  return values.reshape([values.shape[0], -1]).mean(1);
}

// Filter both sides of images [n, H, W, C] by the matrices that `matrix` returns for their lengths.
function filtered(images, matrix) {
  const along = (x) => {
    // The first of the two sides becomes the last axis, so that a second call filters the other one.
    const [n, h, w, c] = x.shape;
    const product = tf.matMul(x.transpose([0, 2, 3, 1]).reshape([n * w * c, h]), matrix(h), false, true);
    return product.reshape([n, w, c, -1]).transpose([0, 1, 3, 2]);
  };
  return along(along(images));
}

function box(n) {
  return new Array(n).fill(1 / n);
}

function gaussian(n, sigma) {
  const taps = Array.from({ length: n }, (_, i) => Math.exp(-0.5 * ((i - (n - 1) / 2) / sigma) ** 2));
  const total = taps.reduce((sum, tap) => sum + tap);
  return taps.map((tap) => tap / total);
}

// A matrix [m, n] that applies the taps at every `stride`-th of n pixels, at the m places where they fit.
function windows(n, taps, stride) {
  const count = Math.floor((n - taps.length) / stride) + 1;
  const matrix = tf.buffer([count, n]);
  for (let row = 0; row < count; row++) taps.forEach((tap, i) => matrix.set(tap, row, row * stride + i));
  return matrix.toTensor();
}

// A matrix [n, n] that blurs n pixels by a Gaussian truncated at 2 sigma, with the border pixels repeated.
function blur(n, sigma) {
  const radius = Math.ceil(2 * sigma);
  const matrix = tf.buffer([n, n]);
  gaussian(2 * radius + 1, sigma).forEach((tap, i) => {
    for (let row = 0; row < n; row++) {
      const column = Math.min(Math.max(row + i - radius, 0), n - 1);
      matrix.set(matrix.get(row, column) + tap, row, column);
    }
  });
  return matrix.toTensor();
}
