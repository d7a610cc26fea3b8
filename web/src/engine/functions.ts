// The functions of `map` steps, by the names of vaelab.export.kernels.MAPS.

type Function3 = (x: number, y: number, z: number) => number;

export const FUNCTIONS: Record<string, Function3> = {
  abs: Math.abs,
  add: (x, y) => x + y,
  atan: (x) => Math.atan(x),
  copy: (x) => x,
  cos: (x) => Math.cos(x),
  div: (x, y) => x / y,
  elu: (x, alpha) => (x > 0 ? x : alpha * Math.expm1(x)),
  eq: (x, y) => (x === y ? 1 : 0),
  exp: (x) => Math.exp(x),
  expm1: (x) => Math.expm1(x),
  fma: (x, scale, shift) => x * scale + shift,
  ge: (x, y) => (x >= y ? 1 : 0),
  gelu: (x) => 0.5 * x * erfc(-x * Math.SQRT1_2),
  gt: (x, y) => (x > y ? 1 : 0),
  le: (x, y) => (x <= y ? 1 : 0),
  leaky_relu: (x, slope) => (x > 0 ? x : slope * x),
  lgamma,
  log: (x) => Math.log(x),
  log1p: (x) => Math.log1p(x),
  log_sigmoid: (x) => -softplus(-x),
  lt: (x, y) => (x < y ? 1 : 0),
  maximum: (x, y) => Math.max(x, y),
  minimum: (x, y) => Math.min(x, y),
  mul: (x, y) => x * y,
  ne: (x, y) => (x !== y ? 1 : 0),
  neg: (x) => -x,
  pow: (x, y) => Math.pow(x, y),
  reciprocal: (x) => 1 / x,
  relu: (x) => (x > 0 ? x : 0),
  round: roundedToEven,
  rsqrt: (x) => 1 / Math.sqrt(x),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  silu: (x) => x / (1 + Math.exp(-x)),
  sin: (x) => Math.sin(x),
  softplus,
  sqrt: (x) => Math.sqrt(x),
  square: (x) => x * x,
  sub: (x, y) => x - y,
  tanh: (x) => Math.tanh(x),
  trunc: (x) => Math.trunc(x),
  where: (condition, x, y) => (condition !== 0 ? x : y),
};

function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

function roundedToEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

// erfc by a Chebyshev fit of relative error 1.2e-7 (Press et al., Numerical Recipes, 1992, 6.2).
const ERFC = [
  -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
  -0.82215223, 0.17087277,
];

function erfc(x: number): number {
  const t = 1 / (1 + 0.5 * Math.abs(x));
  let sum = 0;
  for (let i = ERFC.length - 1; i >= 0; i--) sum = sum * t + ERFC[i]!;
  const tail = t * Math.exp(-x * x + sum);
  return x >= 0 ? tail : 2 - tail;
}

/** log |Gamma(x)| for x > 0: Stirling's series, from where the recurrence makes x large. */
function lgamma(x: number): number {
  let shift = 0;
  for (; x < 10; x++) shift += Math.log(x);
  const r = 1 / (x * x);
  const series = (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r / 1680))) / x;
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
