// Newton's method for structured models: exact gradients, and Hessians by differences of these.
#pragma once

#include <vector>

#include "ranef/search.hpp"
#include "ranef/structured.hpp"

namespace ranef {

struct StructuredFit {
  Vector psi;              // (m,) parameters; factors lambda with diagonals >= 0
  StructuredPoint point;   // at psi
  Vector gradient;         // (m,) exact
  Matrix hessian;          // (m, m) by central differences of exact gradients
  double decrement = 0.0;  // decrease that the quadratic model still predicts
  double lowest = 0.0;     // smallest and largest eigenvalue of the Hessian
  double highest = 0.0;
  Status status = Status::kStalled;
  int n_objective = 0, n_gradient = 0;
};

// Hessian of the objective at psi, by central differences of exact gradients, (m, m).
Matrix structured_hessian(Structured& model, const Vector& psi, bool reml);

// Minimise the objective from each start in turn; the lowest minimum.
StructuredFit structured_fit(Structured& model, const std::vector<Vector>& starts, bool reml,
                             const SearchSettings& settings);

}  // namespace ranef
