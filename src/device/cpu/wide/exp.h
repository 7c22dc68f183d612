#pragma once

// e^x and the activations made of it. Include a set's vec.h first.

namespace hearth::cpu {
namespace {

// e^x with a relative error of about one unit in the last place; −inf gives 0, NaN stays NaN.
inline Floats exp(Floats x) {
  // Beyond these limits the result is 0 or inf anyway, and n stays within what scale_by_power takes.
  x = min(set1(100.0F), max(set1(-110.0F), x));
  const Floats n = nearest(mul(x, set1(1.44269504F)));
  // r = x − n·ln 2, with ln 2 in two parts of which the first has zeros at its end: n times it is exact.
  const Floats r = fnma(n, set1(-2.12194440e-4F), fnma(n, set1(0.693359375F), x));
  // e^r = 1 + r + r²·P(r) on |r| ≤ ln 2 / 2; P interpolates at Chebyshev points, error 1.0e-8.
  Floats p = set1(1.3926188e-3F);
  p = fma(p, r, set1(8.3631828e-3F));
  p = fma(p, r, set1(4.1666555e-2F));
  p = fma(p, r, set1(1.6666577e-1F));
  p = fma(p, r, set1(0.5F));
  return scale_by_power(fma(mul(r, r), p, add(r, set1(1.0F))), n);
}

// x · σ(x)
inline Floats silu(Floats x) { return div(x, add(set1(1.0F), exp(sub(zero(), x)))); }

// ½x(1 + tanh u) = x · σ(2u), u = √(2/π)·(x + 0.044715·x³)
inline Floats gelu_tanh(Floats x) {
  const Floats twice = mul(mul(set1(-1.5957691216F), x), fma(mul(x, x), set1(0.044715F), set1(1.0F)));
  return div(x, add(set1(1.0F), exp(twice)));
}

// ½x(1 + erf(x/√2)) = max(x, 0) − |x|·Q(|x|), where Q(a) = ½·erfc(a/√2) = e^(−a²/2)·R(a). R falls slowly from
// ½, and in t = 1/(1 + 0.35·a) a polynomial of degree 9 meets it to 4e-8 for a ≤ 14 (beyond that the
// exponential is 0).
inline Floats gelu(Floats x) {
  const Floats a = magnitude(x);
  const Floats t = div(set1(1.0F), fma(set1(0.35F), a, set1(1.0F)));
  Floats r = set1(-0.029679522F);
  r = fma(r, t, set1(0.14654583F));
  r = fma(r, t, set1(-0.26096123F));
  r = fma(r, t, set1(0.16505100F));
  r = fma(r, t, set1(-0.027046608F));
  r = fma(r, t, set1(0.10711460F));
  r = fma(r, t, set1(0.11944492F));
  r = fma(r, t, set1(0.13991230F));
  r = fma(r, t, set1(0.13961871F));
  const Floats tail = mul(mul(r, t), exp(mul(mul(a, a), set1(-0.5F))));
  return fnma(a, tail, max(zero(), x));
}

}  // namespace
}  // namespace hearth::cpu
