// Random numbers that depend on a seed alone.

// A function that returns uniform numbers in (0, 1): the generator sfc32 (Chris Doty-Humphrey), with 53 bits each.
export function uniform(seed) {
  let [a, b, c, counter] = [seed | 0, Math.floor(seed / 2 ** 32) | 0, 0x9e3779b9 | 0, 1];
  const next = () => {
    const sum = (((a + b) | 0) + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 20; i++) next();
  return () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6) + 0.5) / 2 ** 53;
}

// Standard normal numbers (Box and Muller), n rows of k.
export function normal(seed, n, k) {
  const random = uniform(seed);
  const draw = () => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
  return Array.from({ length: n }, () => Float32Array.from({ length: k }, draw));
}
