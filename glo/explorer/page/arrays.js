// Arrays of the content, which glo/explorer/packing.py writes: {shape, dtype, scale, base64}.

const TYPES = { float32: Float32Array, int32: Int32Array, float16: Uint16Array };

// The values as a Float32Array or Int32Array.
export function unpack(array) {
  const values = new TYPES[array.dtype](bytes(array.base64).buffer);
  return array.dtype === "float16" ? fromFloat16(values, array.scale) : values;
}

export function tensor(array) {
  return tf.tensor(unpack(array), array.shape);
}

// The rows of an array [n, d], which share its memory.
export function rows(array) {
  const values = unpack(array);
  const [n, d] = array.shape;
  return Array.from({ length: n }, (_, row) => values.subarray(row * d, (row + 1) * d));
}

export function bytes(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

// IEEE 754: 1 bit of sign, 5 of exponent, 10 of fraction.
function fromFloat16(bits, scale) {
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const exponent = (bits[i] >> 10) & 31;
    const fraction = bits[i] & 1023;
    const magnitude = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    values[i] = (bits[i] & 32768 ? -magnitude : magnitude) * scale;
  }
  return values;
}
