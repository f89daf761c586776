#include "ranef/crossed_polynomial.hpp"

#include <algorithm>
#include <cmath>

namespace ranef {
namespace {

constexpr double kPi = 3.14159265358979323846264338327950288;

// (-log(1 - x) - x - .. - x^(r-1)/(r-1)) / x^r.
double remainder(int order, double x) {
  if (std::abs(x) < 0.25) {
    double sum = 0.0, power = 1.0;
    for (int j = order; j < order + 40; ++j, power *= x) sum += power / j;
    return sum;
  }
  double value = -std::log1p(-x), power = x;
  for (int j = 1; j < order; ++j, power *= x) value -= power / j;
  return value / power;
}

// Coefficients of the Chebyshev interpolant of degree n - 1 of a function on [-1, 1].
template <class Function>
Vector interpolate(Index n, Function&& function) {
  Vector values(n), out(n);
  for (Index i = 0; i < n; ++i)
    values(i) = function(std::cos(kPi * (static_cast<double>(i) + 0.5) / static_cast<double>(n)));
  for (Index j = 0; j < n; ++j) {
    double sum = 0.0;
    for (Index i = 0; i < n; ++i)
      sum += values(i) * std::cos(kPi * static_cast<double>(j) * (static_cast<double>(i) + 0.5) /
                                  static_cast<double>(n));
    out(j) = sum * (j == 0 ? 1.0 : 2.0) / static_cast<double>(n);
  }
  return out;
}

double evaluate(const Vector& coefficient, double s) {
  double next = 0.0, after = 0.0;
  for (Index j = coefficient.size() - 1; j > 0; --j) {
    const double here = 2.0 * s * next - after + coefficient(j);
    after = next;
    next = here;
  }
  return s * next - after + coefficient(0);
}

// (t_n(s) - t_n(t)) / (s - t) = sum' 2 u_i(s) t_l(t) over i + l = n - 1, and u_i in terms of t_k.
Matrix divided_difference(const Vector& coefficient) {
  const Index J = coefficient.size() - 1;
  Matrix D = Matrix::Zero(J, J);
  for (Index n = 1; n <= J; ++n)
    for (Index l = 0; l < n; ++l) {
      const double weight = coefficient(n) * (l == 0 ? 1.0 : 2.0);
      for (Index k = (n - 1 - l) % 2; k <= n - 1 - l; k += 2)
        D(k, l) += weight * (k == 0 ? 1.0 : 2.0);
    }
  return D;
}

}  // namespace

CrossedPolynomial fit_polynomial(int order, double low, double high, double tolerance, int most) {
  CrossedPolynomial out;
  out.order = order;
  out.low = low;
  out.high = high;
  const auto at = [&](double s) { return out.centre() + out.half_width() * s; };
  constexpr Index kFine = 256;
  const Vector fine = interpolate(kFine, [&](double s) { return remainder(order, at(s)); });
  Index n = 1;
  double tail = fine.tail(kFine - 1).lpNorm<1>();
  while (n + order < most + 1 && tail > tolerance) tail -= std::abs(fine(n++));
  const Vector q = fine.head(n);
  out.error = std::max(tail, 1e-14);
  out.coefficient =
      interpolate(n + order, [&](double s) { return std::pow(at(s), order) * evaluate(q, s); });
  out.difference = divided_difference(out.coefficient) / out.half_width();
  return out;
}

}  // namespace ranef
