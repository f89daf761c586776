// Truncated Taylor arithmetic along one input t up to t^3, with first derivatives by the other
// inputs, each up to t^2: all that the gradient of Laplace's approximation asks of a density whose
// random effects are those of one predictor.
//
// Coefficients, not derivatives: the k-th is a derivative over k!.
#pragma once

#include <array>

#include "ranef/jet.hpp"

namespace ranef {

template <int N>
struct SlopeJet {
  static constexpr int kInputs = N, kOrder = 3, kOthers = N - 1;
  using Part = std::array<double, 3>;
  std::array<double, 4> t{};          // 1, t, t^2, t^3
  std::array<Part, kOthers> other{};  // s, s t, s t^2

  SlopeJet() = default;
  SlopeJet(double value) { t[0] = value; }  // NOLINT: numbers are constants

  // The input of this number itself, where t is the input `active`.
  static SlopeJet input(double value, int i, int active) {
    SlopeJet out(value);
    if (i == active)
      out.t[1] = 1.0;
    else
      out.other[place(i, active)][0] = 1.0;
    return out;
  }
  static std::size_t place(int i, int active) {
    return static_cast<std::size_t>(i < active ? i : i - 1);
  }

  double value() const { return t[0]; }
  void set_value(double value) { t[0] = value; }
  bool is_constant() const {
    for (int k = 1; k < 4; ++k)
      if (t[k] != 0.0) return false;
    for (const Part& part : other)
      for (double x : part)
        if (x != 0.0) return false;
    return true;
  }

  SlopeJet& operator+=(const SlopeJet& b) {
    for (int k = 0; k < 4; ++k) t[k] += b.t[k];
    for (std::size_t m = 0; m < kOthers; ++m)
      for (int k = 0; k < 3; ++k) other[m][k] += b.other[m][k];
    return *this;
  }
  SlopeJet& operator-=(const SlopeJet& b) {
    for (int k = 0; k < 4; ++k) t[k] -= b.t[k];
    for (std::size_t m = 0; m < kOthers; ++m)
      for (int k = 0; k < 3; ++k) other[m][k] -= b.other[m][k];
    return *this;
  }
  SlopeJet& operator*=(double m) {
    for (double& x : t) x *= m;
    for (Part& part : other)
      for (double& x : part) x *= m;
    return *this;
  }
  friend SlopeJet operator+(SlopeJet a, const SlopeJet& b) { return a += b; }
  friend SlopeJet operator-(SlopeJet a, const SlopeJet& b) { return a -= b; }
  friend SlopeJet operator-(SlopeJet a) { return a *= -1.0; }
  friend SlopeJet operator*(double m, SlopeJet a) { return a *= m; }
  friend SlopeJet operator*(SlopeJet a, double m) { return a *= m; }
  friend SlopeJet operator+(SlopeJet a, double b) {
    a.t[0] += b;
    return a;
  }
  friend SlopeJet operator+(double b, SlopeJet a) { return a + b; }
  friend SlopeJet operator-(SlopeJet a, double b) { return a + (-b); }
  friend SlopeJet operator-(double b, SlopeJet a) { return -a + b; }

  friend SlopeJet operator*(const SlopeJet& a, const SlopeJet& b) {
    SlopeJet out;
    for (int k = 0; k < 4; ++k)
      for (int i = 0; i <= k; ++i) out.t[k] += a.t[i] * b.t[k - i];
    for (std::size_t m = 0; m < kOthers; ++m)
      for (int k = 0; k < 3; ++k)
        for (int i = 0; i <= k; ++i)
          out.other[m][k] += a.t[i] * b.other[m][k - i] + b.t[i] * a.other[m][k - i];
    return out;
  }
};

// f of a jet, given f and its derivatives at the jet's value.
template <int N>
SlopeJet<N> compose(const SlopeJet<N>& a, double f0, double f1, double f2, double f3) {
  SlopeJet<N> out(f0);
  const double one = a.t[1], two = a.t[2];
  // f' along t
  const double by[3] = {f1, f2 * one, f2 * two + 0.5 * f3 * one * one};
  out.t[1] = f1 * one;
  out.t[2] = f1 * two + 0.5 * f2 * one * one;
  out.t[3] = f1 * a.t[3] + f2 * one * two + f3 * one * one * one / 6.0;
  for (std::size_t m = 0; m < SlopeJet<N>::kOthers; ++m)
    for (int k = 0; k < 3; ++k)
      for (int i = 0; i <= k; ++i) out.other[m][k] += by[i] * a.other[m][k - i];
  return out;
}

}  // namespace ranef
