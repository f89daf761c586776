// The search for the maximum of Laplace's approximation, and many of them on one design.
//
// It begins with beta at its joint mode with u, where d is a function of lambda and the dispersion
// alone; then beta becomes a coordinate, whitened by its information, and at the end the Hessian is
// computed by differences of gradients: it proves the optimum, and is the covariance's inverse.
//
// With a quadrature that minimum is where its own search starts. Its likelihood may have maxima
// that Laplace's approximation has not, so that it is also sought from covariances of several
// sizes, each until it enters the bowl of the minimum that is known.
//
// References: Nocedal and Wright (2006), Numerical Optimization, 2nd ed., algorithm 6.2.
#pragma once

#include <memory>
#include <vector>

#include "ranef/glmm.hpp"
#include "ranef/threads.hpp"

namespace ranef {

struct GlmmSearchSettings {
  int max_steps = 200;
  double tolerance = 1e-9;
  HermiteRule rule{};  // of a quadrature; empty for Laplace's approximation
};

enum class GlmmStatus : std::int32_t {
  kConverged = 0,
  kStepLimit = 1,
  kStalled = 2,
  kSaddle = 3,
  kFailed = 4,      // no finite criterion
  kNotAllowed = 5,  // a response outside the family's range
  kConstant = 6,    // a response of one value
};

struct GlmmOptimum {
  GlmmStatus status = GlmmStatus::kFailed;
  double log_likelihood = 0.0;  // at the modes
  double value = kInfeasible, decrement = kInfeasible, dispersion = 1.0, dispersion_error = 0.0;
  Vector theta, beta;  // standardised; beta (p,) of the kept columns
  Matrix cov;          // (p, p) of beta, standardised
  double smallest_sd = 0.0;
  bool is_separated = false;   // no information on some combination of the coefficients
  double by_dispersion = 0.0;  // derivative of the value by the log of a dispersion that is known
  int n_values = 0, n_gradients = 0;

  // In the coordinates of the search: theta, whitened beta and log dispersion.
  Vector x, gradient;
  Matrix hessian;
  Vector eigenvalues;        // of the Hessian, ascending; NaN where there is none
  Vector centre;             // (p,) standardised beta where the whitened one is zero
  Matrix root;               // (p, p) whitened to standardised
  std::vector<double> path;  // criterion, predicted decrease and trust radius of each step
};

// Where the dispersion is sought from: mean and variance of the responses, by the family.
double starting_dispersion(const Likelihood& likelihood, const Vector& y);

// From a dispersion, or at one that is known.
GlmmOptimum search(Glmm& model, double log_dispersion, const GlmmSearchSettings& settings,
                   bool is_known = false);

// A column for each fit; NaN where there is no answer. p columns of X, aliased ones included.
struct GlmmBatchRows {
  GlmmBatchRows(Index p, Index n_factors, Index count);

  Eigen::VectorXi outcome, n_objective, n_gradient;                        // (m,)
  Eigen::VectorXi separated;                                               // (m,) 0 or 1
  Vector objective, dispersion, dispersion_error, smallest_sd, decrement;  // (m,)
  Vector by_dispersion;  // (m,) of the objective, by the log of a known dispersion
  Matrix beta;           // (p, m)
  Matrix cov;            // (p * p, m)
  Matrix factors;        // (n_factors, m)
};

// One design, many responses. A fit depends on its own response only.
//
// Where rows of the design repeat, the likelihood as a function of eta depends on the responses of
// those that are alike by their weighted mean only: they are fitted as one row.
class GlmmBatch {
 public:
  GlmmBatch(const Input& design, const Likelihood& likelihood, Vector weights, Vector offset);

  // At known `dispersions`, one a response, where there are any.
  GlmmBatchRows fit(const ConstMatrixRef& Y, const GlmmSearchSettings& settings, Team& team,
                    const Vector& dispersions = {});

  Index n_distinct() const { return design_.n; }

 private:
  Likelihood likelihood_;
  Vector weights_, offset_;         // of the distinct rows
  Vector each_weight_;              // (n,) of all rows
  std::vector<std::int32_t> cell_;  // (n,) distinct row of each; empty where they are the same
  Input design_;
  std::vector<Vector> columns_;
  std::vector<std::vector<std::int32_t>> codes_;
  std::vector<std::unique_ptr<Glmm>> workers_;  // by thread; made by the thread

  void add_up_rows();
  std::unique_ptr<Glmm> worker() const;
  void fit_one(Glmm& model, const Vector& y, const GlmmSearchSettings& settings,
               const double* dispersion, GlmmBatchRows& rows, Index j) const;
};

}  // namespace ranef
