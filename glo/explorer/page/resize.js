// Cropping and resizing of pictures as in datasets/picture.py, which uses Pillow: the largest centred part of the aspect
// ratio, a Lanczos filter that is widened when a picture shrinks, and rounding to whole grey levels after each axis.

// Pixels Float32Array [height * width * channels] in [-1, 1] of ImageData, whose transparent parts become white.
export function prepare(picture, height, width, channels) {
  const opaque = flatten(picture);
  const scale = Math.min(picture.width / width, picture.height / height);
  const box = [(picture.width - scale * width) / 2, (picture.height - scale * height) / 2];
  const across = resample(opaque, picture.height, picture.width, weights(picture.width, box[0], scale, width), false);
  const resized = resample(across, picture.height, width, weights(picture.height, box[1], scale, height), true);
  const values = channels === 3 ? resized : grey(resized);
  return Float32Array.from(values, (value) => value / 127.5 - 1);
}

function flatten({ data, width, height }) {
  const pixels = new Uint8ClampedArray(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    const alpha = data[4 * i + 3] / 255;
    for (let c = 0; c < 3; c++) pixels[3 * i + c] = Math.round(alpha * data[4 * i + c] + (1 - alpha) * 255);
  }
  return pixels;
}

function lanczos(x) {
  if (x === 0) return 1;
  const y = Math.PI * x;
  return Math.abs(x) < 3 ? (3 * Math.sin(y) * Math.sin(y / 3)) / (y * y) : 0;
}

// For each of `size` output pixels, the first input pixel that it depends on and the weights of it and the next ones.
function weights(length, start, scale, size) {
  const stretch = Math.max(scale, 1);
  return Array.from({ length: size }, (_, i) => {
    const center = start + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - 3 * stretch + 0.5));
    const end = Math.min(length, Math.trunc(center + 3 * stretch + 0.5));
    const taps = Array.from({ length: end - first }, (_, j) => lanczos((first + j - center + 0.5) / stretch));
    const total = taps.reduce((sum, tap) => sum + tap, 0);
    return { first, taps: taps.map((tap) => tap / total) };
  });
}

// Filter RGB pixels of a picture along one axis: columns if `vertical`, else rows.
function resample(pixels, height, width, filters, vertical) {
  const [newHeight, newWidth] = vertical ? [filters.length, width] : [height, filters.length];
  const output = new Uint8ClampedArray(newHeight * newWidth * 3);
  const stride = vertical ? 3 * width : 3;
  for (let y = 0; y < newHeight; y++) {
    for (let x = 0; x < newWidth; x++) {
      const { first, taps } = filters[vertical ? y : x];
      const origin = vertical ? 3 * (first * width + x) : 3 * (y * width + first);
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let j = 0; j < taps.length; j++) sum += taps[j] * pixels[origin + j * stride + c];
        output[3 * (y * newWidth + x) + c] = Math.round(sum);
      }
    }
  }
  return output;
}

// ITU-R 601, as Pillow computes it.
function grey(pixels) {
  return Uint8ClampedArray.from({ length: pixels.length / 3 }, (_, i) => {
    const [r, g, b] = pixels.subarray(3 * i, 3 * i + 3);
    return (r * 19595 + g * 38470 + b * 7471 + 32768) >> 16;
  });
}
