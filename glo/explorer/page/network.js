// The generator, computed from the layers that glo/explorer/network.py describes.

import { tensor } from "./arrays.js";
import { content } from "./content.js";

// For each kind of layer, a function of the layer and its input tensors.
const KINDS = {
  dense: (layer, x) => biased(layer, tf.matMul(x, layer.matrix)),
  reshape: (layer, x) => x.reshape([x.shape[0], ...layer.shape]),
  affine: (layer, x) => x.mul(layer.scale).add(layer.shift),
  leaky_relu: (layer, x) => tf.leakyRelu(x, layer.slope),
  tanh: (layer, x) => x.tanh(),
  hard_tanh: (layer, x) => x.clipByValue(-1, 1),
  concatenate: (layer, ...inputs) => tf.concat(inputs, 1),
  convolution: (layer, x) => biased(layer, tf.conv2d(x, layer.kernel, 1, "same")),
  deconvolution: (layer, x) => {
    const [n, h, w] = x.shape;
    const shape = [n, 2 * h, 2 * w, layer.kernel.shape[2]];
    return biased(layer, tf.conv2dTranspose(x, layer.kernel, shape, 2, "same"));
  },
  double: (layer, x) => doubled(doubled(x, 1), 2),
  modulation: (layer, x, film) => {
    const [gain, shift] = film.reshape([film.shape[0], 1, 1, film.shape[1]]).split(2, 3);
    return x.mul(gain.add(1)).add(shift);
  },
  crop: (layer, x) => x.slice([0, ...layer.start, 0], [x.shape[0], ...layer.size, x.shape[3]]),
};

const layers = content.network.map((layer) =>
  Object.fromEntries(Object.entries(layer).map(([key, value]) => [key, value.base64 ? tensor(value) : value])),
);

// Images [n, H, W, C] in [-1, 1] of inputs by name: tensors `code` [n, d] and, of a conditional model, `condition`.
export function generate(inputs) {
  const outputs = { ...inputs };
  for (const layer of layers) {
    if (layer.kind !== "input") {
      outputs[layer.name] = KINDS[layer.kind](layer, ...layer.inputs.map((name) => outputs[name]));
    }
  }
  return outputs[layers.at(-1).name];
}

function biased(layer, x) {
  return layer.bias ? x.add(layer.bias) : x;
}

// Bilinear interpolation at twice as many points along an axis, with half-pixel centres. The gradient of
// tf.image.resizeBilinear ignores those (TensorFlow.js 4.22).
function doubled(x, axis) {
  const n = x.shape[axis];
  const part = (start, length) =>
    x.slice(x.shape.map((_, i) => (i === axis ? start : 0)), x.shape.map((side, i) => (i === axis ? length : side)));
  const before = n > 1 ? tf.concat([part(0, 1), part(0, n - 1)], axis) : x;
  const after = n > 1 ? tf.concat([part(1, n - 1), part(n - 1, 1)], axis) : x;
  const near = x.mul(0.75);
  const pairs = tf.stack([near.add(before.mul(0.25)), near.add(after.mul(0.25))], axis + 1);
  return pairs.reshape(x.shape.map((side, i) => (i === axis ? 2 * side : side)));
}
