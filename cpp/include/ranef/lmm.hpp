// A linear mixed model from its rows: cross products once, then fits and questions in the user's
// basis.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

#include "ranef/cross_products.hpp"
#include "ranef/crossed_plan.hpp"
#include "ranef/general_terms.hpp"
#include "ranef/least_squares.hpp"
#include "ranef/prediction.hpp"
#include "ranef/search.hpp"
#include "ranef/standard_basis.hpp"
#include "ranef/start.hpp"

namespace ranef {

// A fit, in the user's basis and in the user's order of terms unless said otherwise.
struct Estimate {
  Status status = Status::kStalled;
  double objective = 0.0;  // -2 log-likelihood, restricted under REML
  double sigma = 0.0;
  double pwrss = 0.0, logdet_L = 0.0, logdet_RX = 0.0;
  Vector beta;                          // (p,) of the kept columns
  Matrix cov_beta_root;                 // (p, p) U: cov(beta) = sigma^2 U U'
  std::vector<Matrix> lambda;           // (k_t, k_t) relative covariance factors
  std::vector<Matrix> modes;            // (k_t, l_t) conditional modes b
  std::vector<Matrix> lambda_standard;  // states in the standardised basis, a warm start: factors
                                        // (k_t, k_t), or parameters of structures (m_t, 1)
  double decrement = 0.0, cone = 0.0;
  double smallest_sd = 0.0;  // of all principal axes, relative to sigma, standardised basis
  int n_objective = 0, n_gradient = 0;
  Matrix path;                  // (steps, 3) objective, predicted decrease, radius
  Approximation approximation;  // of the objective; of an exact one nothing
};

// Gradient and curvature at a covariance, standardised basis, by the elements of lambda.
struct Curvature {
  double objective = 0.0;
  double logdet_L = 0.0, logdet_RX = 0.0, pwrss = 0.0;  // as in Estimate
  Vector gradient;                                      // (m,)
  Vector quadratic;  // (m,) y'P V_a P y / s^2, s^2 = pwrss / nu: d pwrss = -s^2 quadratic
  Matrix hessian;    // (m, m) exact, or average information for the exact second derivatives
  std::vector<Matrix> score;  // (k_t, k_t) derivative by Sigma_t, sigma profiled
  std::vector<Matrix>
      misfit;  // (k_t, k_t) sum_l g_l g_l' / s^2, g = Z'Py: d pwrss = -s^2 <misfit, dSigma>
  std::vector<Matrix> G;  // as in FixedDerivatives; empty when not asked for
};

// How the precision of the fixed effects depends on the covariance, in the coordinates w = R'c of a
// contrast c, R the estimate's cov_beta_root, so that var(c'beta) = sigma^2 w'w.
//
//   G_a = (X U)'H^-1 V_a H^-1 (X U)              d(w'w)/d Sigma_a = w'G_a w
//   Q_ab = (X U)'H^-1 V_a H^-1 V_b H^-1 (X U)
struct FixedDerivatives {
  std::vector<Matrix> G;  // (p, p) for each element of Sigma, standardised basis
  Matrix Q;               // (m p, m p) blocks Q_ab; empty when not asked for
};

// Rows in the standardised basis, terms in the kernel's order; X'W X = n I.
struct StandardRows {
  Matrix X;                                // (n, p) kept columns
  std::vector<Matrix> z;                   // (n, k_t)
  std::vector<const std::int32_t*> codes;  // (n,)
};

class Lmm {
 public:
  explicit Lmm(const Input& input, const MethodSettings& method = {});
  // The same with columns orthonormalised row by row, and those rows, for responses to come.
  Lmm(const Input& input, StandardRows& rows);

  // A model of rows that were added up before: cross products in the user's order of terms, and how
  // they were shifted. `layout` has no rows.
  Lmm(Input layout, Shifts shifts, CrossProducts products, const MethodSettings& method = {});

  // A model of general terms; the terms of the input are their members.
  Lmm(const Input& input, const GeneralTerms& terms);

  // Take y^ = (y - X^ a) / s for the response, where y is the user's, y^'W X^ = 0 and y^'W y^ = n.
  void set_response(const Vector& a,               // (p,)
                    double s,                      //
                    const std::vector<Vector>& zy  // (l_t * k_t) Z^_t'W y^, kernel's order
  );

  // Covariances are given as the state of each term: see LeastSquares::pack.

  // One search from `start` (user's order, standardised basis). Without a start, from the moments,
  // and where a higher maximum may well exist a second one from far out; the better of the two.
  Estimate fit(bool reml, const SearchSettings& settings, const std::vector<Matrix>& start);
  // Everything of a fit at a given covariance (user's basis, but for structures), without a search.
  Estimate evaluate(const std::vector<Matrix>& lambda, bool reml);
  double objective(const std::vector<Matrix>& lambda, bool reml);
  // Derivatives at a covariance. `order` 0 leaves the Hessian at the average information. Otherwise
  // it is exact: by traces where they are cheap, and for the other parameters by differences of
  // exact gradients, forward ones (order 1) or central ones of order 2 or 4.
  Curvature curvature(const std::vector<Matrix>& lambda_standard, bool reml, int order = 0,
                      bool with_G = false);
  double objective_standard(const std::vector<Matrix>& lambda_standard, bool reml);

  // d Sigma / d lambda, both in the standardised basis and in the order of parameters(): (m, m).
  Matrix covariance_jacobian(const std::vector<Matrix>& lambda_standard) const;

  // Which element of lambda (and of Sigma) each parameter is: user's term, row, column; of a
  // structure the number of the parameter, and -1 - block.
  std::vector<std::tuple<std::size_t, int, int>> parameters() const;

  FixedDerivatives fixed_derivatives(const std::vector<Matrix>& lambda_standard, bool with_Q);

  // What the expected information of the elements of Sigma is made of, standardised basis.
  PairTraces pair_traces(const std::vector<Matrix>& lambda_standard);

  // Variance of x'(beta^ - beta) + z'(b^ - b), relative to sigma^2, for new rows; terms that take
  // no part have null codes.
  Vector prediction_variances(const std::vector<Matrix>& lambda_standard,
                              const ConstMatrixRef& X,  // (m, p) kept columns
                              const std::vector<NewTerm>& terms);
  // The same of general terms, without what levels not seen add: rows of Z as the user has it.
  Vector prediction_variances(const std::vector<Matrix>& lambda_standard,
                              const ConstMatrixRef& X,  // (m, p) kept columns
                              const SparseRowsOfZ& Z);

  // A draw of b given lambda, beta (kept, user's basis) and sigma, by noise (k_t, l_t) of standard
  // normal numbers in the user's order of terms; its mean for noise of zero. (k_t, l_t)
  std::vector<Matrix> draw(const std::vector<Matrix>& lambda, const Vector& beta, double sigma,
                           const std::vector<Matrix>& noise);

  // Conditional covariances of b given beta, relative to sigma^2: (k_t * k_t, l_t).
  std::vector<Matrix> conditional_covariances(const std::vector<Matrix>& lambda_standard);

  // Take the approximation of a former fit to the same rows.
  void resume(const Approximation& former) { pls_->resume(former); }

  // Held by who asks, where others may ask at the same time: the factor is working memory.
  std::mutex& busy() { return *busy_; }

  const StandardBasis& basis() const { return basis_; }
  const LeastSquares& pls() const { return *pls_; }
  Matrix term_basis(std::size_t t) const { return basis_.Tz[order_[t]]; }
  // Standard deviations (relative to sigma, user's basis) and other parameters of each block's
  // structure in a term.
  std::vector<Vector> natural_parameters(std::size_t t, const std::vector<Matrix>& states) const;
  Index n_root() const { return pls_->n_root(); }
  bool is_sparse() const { return pls_->is_sparse(); }
  const MethodPlan& plan() const { return plan_; }
  std::size_t n_terms() const { return place_.size(); }

 private:
  Index n_ = 0;
  double sum_log_w_ = 0.0;
  StandardBasis basis_;             // terms in the kernel's order
  std::vector<std::size_t> place_;  // kernel's term -> user's term
  std::vector<std::size_t> order_;  // user's term -> kernel's term
  MomentStart moments_;
  std::vector<Matrix> start_;
  std::unique_ptr<LeastSquares> pls_;
  std::unique_ptr<std::mutex> busy_ = std::make_unique<std::mutex>();

  MethodPlan plan_;

  Lmm(const Input& input, StandardRows* rows, const MethodSettings& method);
  void prepare(const Input& ordered, CrossProducts products, const MethodSettings& method);
  Vector theta_of(const std::vector<Matrix>& of_user) const;
  Estimate fit_structures(bool reml, const SearchSettings& settings);
  std::vector<Matrix> structured_start(int number) const;
  SearchResult search_from(const std::vector<Matrix>& start, bool reml,
                           const SearchSettings& settings);
  std::vector<Matrix> to_kernel(const std::vector<Matrix>& of_user) const;
  std::vector<Matrix> to_user(std::vector<Matrix> of_kernel) const;
  Vector standard_theta(const std::vector<Matrix>& states) const;
  Matrix exact_hessian(const Vector& theta, bool reml, int order, const Derivatives& at);
  double to_user_scale(const Objective& objective, bool reml) const;
  Estimate describe(const Vector& theta, const Objective& objective, bool reml);
  double smallest_margin(const Vector& theta) const;
  Estimate describe(const SearchResult& found, bool reml);
  bool may_have_rivals(double smallest_sd) const;
  Estimate beside_boundary(const SearchResult& best, Estimate out, bool reml,
                           const SearchSettings& settings);
  std::vector<std::vector<Matrix>> boundary_points(const std::vector<Matrix>& lambda) const;
};

}  // namespace ranef
