// Trust-region Newton on the average information, with the condition on the covariance cone.
#pragma once

#include <vector>

#include "ranef/eigen.hpp"
#include "ranef/least_squares.hpp"

namespace ranef {

struct SearchSettings {
  int max_steps = 200;
  double tolerance = 1e-9;  // predicted decrease of the objective at which the search stops
};

enum class Status { kConverged = 0, kStepLimit = 1, kStalled = 2, kPerfectFit = 3 };

struct SearchStep {
  double value;      // objective
  double decrement;  // decrease that the quadratic model predicts for its own minimum
  double radius;
};

struct SearchResult {
  Vector theta;                // (m,) in the order of LeastSquares::parameters()
  std::vector<Matrix> lambda;  // (k_t, k_t) lower triangular, diagonal >= 0
  Objective objective;         // at lambda; the factor of `pls` stands there
  Status status = Status::kStalled;
  double decrement = 0.0;  // the last predicted decrease
  double cone = 0.0;       // smallest eigenvalue of N'S_t N over singular directions N; 0 when none
  int n_objective = 0, n_gradient = 0;
  std::vector<SearchStep> path;
  bool is_known = false;  // it was on its way to the optimum that was known, and stopped
};

// Minimise the objective over all positive semidefinite Sigma_t, or over the parameters of their
// structures, from a starting point: the state of each term, see LeastSquares::pack. Where an
// optimum is known already, stop as soon as the quadratic model has its minimum there, in place and
// in height.
SearchResult search(LeastSquares& pls, const std::vector<Matrix>& start, bool reml,
                    const SearchSettings& settings, const SearchResult* known = nullptr);

// Derivatives where the objective was last taken, which was at theta.
void differentiate(LeastSquares& pls, const Vector& theta, bool reml, Derivatives& out);

// Gradient of the objective by theta: the elements of lambda, and the parameters of structures, in
// the order of LeastSquares::parameters().
Vector gradient_by_theta(const LeastSquares& pls, const std::vector<Matrix>& lambda,
                         const Derivatives& derivatives);

// d Sigma / d theta: element a of Sigma by element b of lambda, (m, m). A parameter of a structure
// stands for the direction in which it moves Sigma: one on the diagonal.
Matrix covariance_jacobian(const LeastSquares& pls, const std::vector<Matrix>& lambda);

// Its approximate Hessian: J'(AI - q q'/nu) J + <S, d2 Sigma>.
Matrix hessian_by_theta(const LeastSquares& pls, const Vector& theta,
                        const std::vector<Matrix>& lambda, const Derivatives& derivatives,
                        double nu);

// Lambda moved off the boundary by a ridge too small to matter, where derivatives need an inverse.
std::vector<Matrix> with_ridge(const std::vector<Matrix>& lambda);

// Lower triangular L, diagonal >= 0, with L L' = B B'.
Matrix lower_factor(const Matrix& B);

}  // namespace ranef
