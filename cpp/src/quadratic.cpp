#include "ranef/quadratic.hpp"

#include <algorithm>
#include <cmath>

namespace ranef {

double Quadratic::decrement() const {
  const Vector& d = eigen_.eigenvalues();
  const double floor = 1e-12 * std::max(1e-300, d.cwiseAbs().maxCoeff());
  return 0.5 * (g_.array().square() / d.array().abs().max(floor)).sum();
}

QuadraticStep Quadratic::minimise(double radius) const {
  const Vector& d = eigen_.eigenvalues();
  const double least = d(0);
  double shift = std::max(0.0, -least + 1e-8 * std::max(1.0, d.cwiseAbs().maxCoeff()));
  QuadraticStep step;
  step.inside = least > 0.0 && length(0.0) <= radius;
  if (!step.inside) shift = shift_for(radius, shift);
  const Vector z = -(g_.array() / (d.array() + (step.inside ? 0.0 : shift))).matrix();
  step.s = eigen_.eigenvectors() * z;
  step.predicted = -(g_.dot(z) + 0.5 * (d.array() * z.array().square()).sum());
  return step;
}

Vector Quadratic::downward() const {
  const Vector v = eigen_.eigenvectors().col(0);
  return g_(0) > 0.0 ? Vector(-v) : v;
}

double Quadratic::length(double shift) const {
  return (g_.array() / (eigen_.eigenvalues().array() + shift)).matrix().norm();
}

double Quadratic::shift_for(double radius, double low) const {
  if (length(low) <= radius) return low;
  double high = std::max(1.0, 2.0 * low);
  while (length(high) > radius) high *= 4.0;
  for (int i = 0; i < 80 && high - low > 1e-6 * high; ++i) {
    const double middle = 0.5 * (low + high);
    (length(middle) > radius ? low : high) = middle;
  }
  return high;
}

}  // namespace ranef
