// The quadratic model of a trust-region Newton step.
#pragma once

#include "ranef/eigen.hpp"

namespace ranef {

struct QuadraticStep {
  Vector s;
  double predicted;  // decrease of the quadratic model
  bool inside;       // an interior Newton step
};

// m(s) = g's + s'Hs/2 for a symmetric H, by eigenvalues.
class Quadratic {
 public:
  Quadratic(const Vector& g, const Matrix& H)
      : eigen_(H), g_(eigen_.eigenvectors().transpose() * g) {}

  // Decrease at the model's own minimum, directions of no curvature taken at the size of the rest.
  double decrement() const;

  // Minimise over |s| <= radius. The minimum along a direction of negative curvature in which the
  // gradient vanishes is not looked for: see `downward`.
  QuadraticStep minimise(double radius) const;

  // Smallest eigenvalue of H, and its unit eigenvector, pointing downhill.
  double lowest() const { return eigen_.eigenvalues()(0); }
  double highest() const { return eigen_.eigenvalues()(eigen_.eigenvalues().size() - 1); }
  Vector downward() const;

 private:
  Eigen::SelfAdjointEigenSolver<Matrix> eigen_;
  Vector g_;

  double length(double shift) const;
  double shift_for(double radius, double low) const;
};

}  // namespace ranef
