// Images, Float32Array [H * W * C] in [-1, 1], as pixels on a canvas.

import { channels, height, width } from "./content.js";

// Grey levels from 0 to 255, rounded.
export function levels(image) {
  return Uint8ClampedArray.from(image, (value) => Math.round((value + 1) * 127.5));
}

export function imageData(image) {
  const data = new ImageData(width, height);
  const values = levels(image);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) data.data[4 * i + c] = values[i * channels + (channels === 3 ? c : 0)];
    data.data[4 * i + 3] = 255;
  }
  return data;
}

// Show an image on a canvas, pixel by pixel; style sheets enlarge it.
export function show(canvas, image) {
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(imageData(image), 0, 0);
}

// A new canvas that shows an image.
export function picture(image, label) {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  show(canvas, image);
  return canvas;
}

// Images side by side in rows of `columns`, each enlarged by a whole factor, as a canvas.
export function sheet(images, columns, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.min(columns, images.length) * width * scale;
  canvas.height = Math.ceil(images.length / columns) * height * scale;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  const single = document.createElement("canvas");
  images.forEach((image, i) => {
    show(single, image);
    const [x, y] = [(i % columns) * width * scale, Math.floor(i / columns) * height * scale];
    context.drawImage(single, x, y, width * scale, height * scale);
  });
  return canvas;
}

// The peak signal-to-noise ratio of two images in dB.
export function psnr(a, b) {
  const squared = a.reduce((sum, value, i) => sum + ((value - b[i]) / 2) ** 2, 0) / a.length;
  return -10 * Math.log10(Math.max(squared, 1e-10));
}
