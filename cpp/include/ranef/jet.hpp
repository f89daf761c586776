// Truncated Taylor arithmetic: a value with its derivatives by N inputs, up to an order of 3.
//
// On the stack, without allocation. Derivatives are stored once each: (i <= j <= k) in the order of
// pair_index and triple_index.
#pragma once

#include <array>
#include <cmath>
#include <limits>

#include "ranef/special.hpp"

namespace ranef {

constexpr int pair_index(int i, int j) { return j * (j + 1) / 2 + i; }  // i <= j
constexpr int triple_index(int i, int j, int k) {
  return k * (k + 1) * (k + 2) / 6 + pair_index(i, j);
}
constexpr int symmetric_index(int i, int j) { return i <= j ? pair_index(i, j) : pair_index(j, i); }

template <int N, int Order>
struct Jet {
  static constexpr int kInputs = N, kOrder = Order;
  static constexpr int kFirst = 1, kSecond = 1 + N, kThird = kSecond + N * (N + 1) / 2;
  static constexpr int kSize = Order == 0   ? 1
                               : Order == 1 ? kSecond
                               : Order == 2 ? kThird
                                            : kThird + N * (N + 1) * (N + 2) / 6;
  std::array<double, kSize> c{};

  Jet() = default;
  Jet(double value) { c[0] = value; }  // NOLINT: numbers are constants

  // The input of this number itself.
  static Jet input(double value, int i) {
    Jet out(value);
    if constexpr (Order > 0) out.c[kFirst + i] = 1.0;
    return out;
  }

  double value() const { return c[0]; }
  void set_value(double value) { c[0] = value; }
  double first(int i) const { return c[kFirst + i]; }
  double second(int i, int j) const { return c[kSecond + pair_index(i, j)]; }  // i <= j
  double third(int i, int j, int k) const { return c[kThird + triple_index(i, j, k)]; }
  bool is_constant() const {
    for (int i = 1; i < kSize; ++i)
      if (c[i] != 0.0) return false;
    return true;
  }

  Jet& operator+=(const Jet& b) {
    for (int i = 0; i < kSize; ++i) c[i] += b.c[i];
    return *this;
  }
  Jet& operator-=(const Jet& b) {
    for (int i = 0; i < kSize; ++i) c[i] -= b.c[i];
    return *this;
  }
  friend Jet operator+(Jet a, const Jet& b) { return a += b; }
  friend Jet operator-(Jet a, const Jet& b) { return a -= b; }
  friend Jet operator-(Jet a) { return a *= -1.0; }
  Jet& operator*=(double m) {
    for (double& x : c) x *= m;
    return *this;
  }
  friend Jet operator*(double m, Jet a) { return a *= m; }
  friend Jet operator*(Jet a, double m) { return a *= m; }
  friend Jet operator+(Jet a, double b) {
    a.c[0] += b;
    return a;
  }
  friend Jet operator+(double b, Jet a) { return a + b; }
  friend Jet operator-(Jet a, double b) { return a + (-b); }
  friend Jet operator-(double b, Jet a) { return -a + b; }

  friend Jet operator*(const Jet& a, const Jet& b) {
    Jet out(a.c[0] * b.c[0]);
    if constexpr (Order >= 1)
      for (int i = 0; i < N; ++i)
        out.c[kFirst + i] = a.c[0] * b.c[kFirst + i] + b.c[0] * a.c[kFirst + i];
    if constexpr (Order >= 2)
      for (int j = 0; j < N; ++j)
        for (int i = 0; i <= j; ++i)
          out.c[kSecond + pair_index(i, j)] = a.c[0] * b.second(i, j) + b.c[0] * a.second(i, j) +
                                              a.first(i) * b.first(j) + a.first(j) * b.first(i);
    if constexpr (Order >= 3)
      for (int k = 0; k < N; ++k)
        for (int j = 0; j <= k; ++j)
          for (int i = 0; i <= j; ++i)
            out.c[kThird + triple_index(i, j, k)] =
                a.c[0] * b.third(i, j, k) + b.c[0] * a.third(i, j, k) +
                a.first(i) * b.second(j, k) + a.first(j) * b.second(i, k) +
                a.first(k) * b.second(i, j) + b.first(i) * a.second(j, k) +
                b.first(j) * a.second(i, k) + b.first(k) * a.second(i, j);
    return out;
  }
};

// f of a jet, given f and its derivatives at the jet's value.
template <int N, int Order>
Jet<N, Order> compose(const Jet<N, Order>& a, double f0, double f1, double f2, double f3) {
  Jet<N, Order> out(f0);
  using J = Jet<N, Order>;
  if constexpr (Order >= 1)
    for (int i = 0; i < N; ++i) out.c[J::kFirst + i] = f1 * a.first(i);
  if constexpr (Order >= 2)
    for (int j = 0; j < N; ++j)
      for (int i = 0; i <= j; ++i)
        out.c[J::kSecond + pair_index(i, j)] = f1 * a.second(i, j) + f2 * a.first(i) * a.first(j);
  if constexpr (Order >= 3)
    for (int k = 0; k < N; ++k)
      for (int j = 0; j <= k; ++j)
        for (int i = 0; i <= j; ++i)
          out.c[J::kThird + triple_index(i, j, k)] =
              f1 * a.third(i, j, k) +
              f2 * (a.first(i) * a.second(j, k) + a.first(j) * a.second(i, k) +
                    a.first(k) * a.second(i, j)) +
              f3 * a.first(i) * a.first(j) * a.first(k);
  return out;
}

template <class J>
J exp(const J& a) {
  const double e = std::exp(std::min(a.value(), 700.0));
  return compose(a, e, e, e, e);
}

template <class J>
J log(const J& a) {
  const double x = a.value(), i = 1.0 / x;
  if (!(x > 0.0)) return J(-std::numeric_limits<double>::infinity());
  return compose(a, std::log(x), i, -i * i, 2.0 * i * i * i);
}

template <class J>
J log1p(const J& a) {
  const double x = a.value(), i = 1.0 / (1.0 + x);
  return compose(a, std::log1p(x), i, -i * i, 2.0 * i * i * i);
}

template <class J>
J reciprocal(const J& a) {
  const double i = 1.0 / a.value(), i2 = i * i;
  return compose(a, i, -i2, 2.0 * i2 * i, -6.0 * i2 * i2);
}

template <class J>
J square(const J& a) {
  return a * a;
}

// log(1 / (1 + exp(-x))). The logarithm of 1 + t, rounded, is corrected by what was rounded off.
template <class J>
J log_expit(const J& a) {
  const double x = a.value(), t = std::exp(-std::abs(x)), u = 1.0 + t, d = 1.0 / u;
  const double p = x >= 0.0 ? d : t * d, q = x >= 0.0 ? t * d : d;
  const double value = (x >= 0.0 ? 0.0 : x) - (std::log(u) + (t - (u - 1.0)) * d);
  return compose(a, value, q, -p * q, -p * q * (q - p));
}

// 1 / (1 + exp(-x)).
template <class J>
J expit(const J& a) {
  const double x = a.value(), t = std::exp(-std::abs(x)), d = 1.0 / (1.0 + t);
  const double p = x >= 0.0 ? d : t * d, q = x >= 0.0 ? t * d : d, pq = p * q;
  return compose(a, p, pq, pq * (q - p), pq * (1.0 - 6.0 * pq));
}

// log(exp(a) + exp(b)).
template <class J>
J log_sum(const J& a, const J& b) {
  return a - log_expit(a - b);
}

// log(1 - exp(x)), x < 0.
template <class J>
J log1m_exp(const J& a) {
  const double x = a.value();
  if (!(x < 0.0)) return J(-std::numeric_limits<double>::infinity());
  const double q = 1.0 / std::expm1(-x);
  const double value =
      x > -0.6931471805599453 ? std::log(-std::expm1(x)) : std::log1p(-std::exp(x));
  return compose(a, value, -q, -q * (1.0 + q), -q * (1.0 + q) * (1.0 + 2.0 * q));
}

template <class J>
J log_gamma(const J& a) {
  if (!(a.value() > 0.0) || !(a.value() < 1e300))
    return J(-std::numeric_limits<double>::infinity());
  if (J::kOrder == 0) return J(log_gamma(a.value()));
  const LogGamma g = log_gamma_derivatives(a.value(), J::kOrder > 2);
  return compose(a, g.value, g.digamma, g.trigamma, g.tetragamma);
}

// log Gamma(a + y) / Gamma(a) for a whole number y: a sum of logarithms, however large a is.
template <class J>
J log_rising(double y, const J& a) {
  constexpr double kMany = 100.0;
  if (y > kMany) return log_gamma(a + y) - log_gamma(a);
  double product = 1.0, value = 0.0, one = 0.0, two = 0.0, three = 0.0;
  for (double j = 0.0; j < y - 0.5; j += 1.0) {
    const double x = a.value() + j, i = 1.0 / x;
    product *= x;
    if (!(product < 1e200) || product < 1e-200) {
      value += std::log(product);
      product = 1.0;
    }
    one += i;
    two -= i * i;
    three += 2.0 * i * i * i;
  }
  return compose(a, value + std::log(product), one, two, three);
}

template <class J>
J log_normal_cdf(const J& a) {
  const LogNormal f = log_normal_cdf(a.value());
  return compose(a, f.value, f.first, f.second, f.third);
}

template <class J>
J atan(const J& a) {
  const double x = a.value(), d = 1.0 / (1.0 + x * x);
  return compose(a, std::atan(x), d, -2.0 * x * d * d, (6.0 * x * x - 2.0) * d * d * d);
}

// sum over a + b <= 3 of taylor[a][b] x^a y^b of jets x and y whose values are zero.
template <class J>
J polynomial(const double taylor[4][4], const J& x, const J& y) {
  J out(taylor[0][0]), power(1.0);
  for (int a = 0; a <= 3; ++a) {
    J inner(taylor[a][3 - a]);
    for (int b = 2 - a; b >= 0; --b) inner = inner * y + taylor[a][b];
    if (a == 0)
      out = inner;
    else
      out += power * inner;
    power = a == 0 ? x : power * x;
  }
  return out;
}

}  // namespace ranef
