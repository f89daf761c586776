// A generalised linear mixed model by Laplace's approximation, with exact derivatives.
//
//   eta = offset + X beta + Z Lambda u,  u ~ N(0, I)
//   d   = -2 l(eta) + |u|^2 + log|M| at the mode of u,  M = I + Lambda'Z'W Z Lambda
//
// l is the log-likelihood and W its observed weights, w_i = -d2 l_i / d eta_i^2. Each Newton step
// to the mode is a weighted penalised least squares of the linear kernel.
//
// With h_i = z_i'Lambda M^-1 Lambda'z_i, a_i = h_i dw_i/deta_i, s = dl/deta and v = M^-1
// Lambda'Z'a,
//
//   dd/dbeta   = X'r,  r = -2 s + a - W Z Lambda v
//   dd/dlambda = sum_l [Z'r]_l u_l' + [Z's]_l v_l' + 2 [Z'W Z Lambda M^-1]_ll
//
// which is finite at a singular Lambda. A `joint` mode takes beta to the mode, too: then M's solves
// are those of beta and u together, and d is a function of lambda alone.
//
// References: Bates, Maechler, Bolker and Walker (2015), J. Stat. Softw. 67(1); Skaug and Fournier
// (2006), Comput. Stat. Data Anal. 51, 699-709; Pinheiro and Chao (2006), J. Comput. Graph. Stat.
// 15, 58-81.
#pragma once

#include <memory>
#include <tuple>
#include <vector>

#include "ranef/likelihood.hpp"
#include "ranef/pls.hpp"
#include "ranef/prediction.hpp"
#include "ranef/quadrature.hpp"
#include "ranef/row_products.hpp"
#include "ranef/standard_basis.hpp"

namespace ranef {

// Where the criterion is asked for; standardised basis.
struct GlmmParameters {
  Vector theta;             // (m,) elements of lambda in the order of Glmm::parameters()
  Vector beta;              // (p,) of the kept columns; empty to take it to the joint mode
  double dispersion = 1.0;  // phi or k
};

struct GlmmPoint {
  double value = kInfeasible;   // d; kInfeasible where there is no mode
  double log_likelihood = 0.0;  // l at the mode
  double penalty = 0.0;         // |u|^2
  double logdet = 0.0;          // log|M|
  Vector beta;                  // (p,)
  int steps = 0;                // Newton steps to the mode
};

struct GlmmQuadrature {
  double value;     // -2 log of what is added
  Vector gradient;  // like Glmm::gradient()
};

class Glmm {
 public:
  // Copies what it needs. `input` has neither response nor weights.
  Glmm(const Input& input, const Likelihood& likelihood, ResponseRows rows, Vector offset);

  GlmmPoint evaluate(const GlmmParameters& at);

  // Gradient at the last evaluate(), which must be feasible: theta, beta unless joint, and log
  // dispersion where there is one.
  Vector gradient();

  // Derivatives by every element of each lambda, upper triangle included, that the last gradient()
  // or quadrature() came across; user's order.
  std::vector<Matrix> gradient_by_factors() const;

  // What adaptive Gauss-Hermite quadrature adds to Laplace's approximation at the last evaluate(),
  // and the gradient of both together. One term only; the product rule takes nodes^k points a
  // level. beta must have been given.
  GlmmQuadrature quadrature(const HermiteRule& rule);

  // (p, p) X'(W^-1 + Z Lambda Lambda'Z')^-1 X at the last evaluate().
  Matrix information_beta();

  // Random effects, and their covariances given all parameters, at the last evaluate(); user's
  // basis and order: (k_t, l_t) and (k_t * k_t, l_t).
  std::vector<Matrix> modes() const;
  std::vector<Matrix> conditional_covariances();

  // Variance of the error of x'beta + z'b given theta and dispersion, for new rows, at the last
  // evaluate().
  Vector prediction_variances(const Matrix& X,         // (m, p) user's kept columns
                              const Matrix& cov_beta,  // (p, p) of their coefficients
                              const std::vector<NewTerm>& terms);
  Vector eta() const;  // (n,) rows as they were given

  // Squared length of a Newton step, in the metric of M, at which a mode is found: to rounding, or
  // as well as a search needs it that is not the last.
  static constexpr double kExactMode = 1e-18, kRoughMode = 1e-11;
  void set_mode_tolerance(double tolerance) {
    if (tolerance < mode_tolerance_) is_found_ = false;
    mode_tolerance_ = tolerance;
  }

  // Forget the last mode: the next search starts from no random effects.
  void restart();

  // Another response of the same rows, and restart(). Not with the inverse link, whose unit is the
  // response's. `each_y` is that of each row before they were added up, where they were.
  void set_response(const Eigen::Ref<const Vector>& y, Vector each_y = {});

  bool has_dispersion() const { return likelihood_.has_dispersion(); }
  double total_weight() const { return rows_.weights.sum(); }

  // Element of lambda of each entry of theta: user's term, row, column; of a structure the number
  // of the parameter, and -1 - block.
  std::vector<std::tuple<std::size_t, int, int>> parameters() const;
  // Natural parameters of each block's structure in a term.
  std::vector<Vector> natural_parameters(std::size_t t, const Vector& theta) const {
    const std::size_t kernel = order_.at(t);
    return pls_->natural(theta, kernel, basis_.Tz[kernel].diagonal());
  }
  // Where a search begins: covariances of standard deviations `size`, correlations of structures
  // those of start `number` of n_starts().
  int n_starts() const;
  Vector start(double size, int number) const;
  // Smallest standard deviation along any axis, or distance of a structure from its limits.
  double margin(const Vector& theta) const;
  // The same covariances with standard deviations that are not negative.
  Vector rectified(const Vector& theta) const;
  // Relative covariance factors, user's order: as the formula scales its columns, or standardised.
  std::vector<Matrix> lambda(const Vector& theta, bool standard) const;
  const StandardBasis& basis() const { return basis_; }
  Matrix term_basis(std::size_t t) const { return basis_.Tz[order_[t]]; }

 private:
  Likelihood likelihood_;
  std::vector<Index> row_;  // the given row of each row here, by levels; empty where it is the same
  ResponseRows rows_;       // y in units of unit_, predictors in units of 1 / unit_
  Vector offset_;
  double unit_ = 1.0;
  StandardBasis basis_;             // terms in the kernel's order
  std::vector<std::size_t> place_;  // kernel's term -> user's term
  std::vector<std::size_t> order_;  // user's term -> kernel's term
  Matrix X_;                        // (n, p) kept columns, standardised
  std::unique_ptr<RowProducts> products_;
  std::unique_ptr<Pls> pls_;

  // The last evaluate().
  Vector theta_;
  std::vector<Matrix> lambda_;  // (k_t, k_t)
  Vector beta_;
  bool joint_ = false;
  double dispersion_ = 1.0;
  double constant_ = 0.0;  // of the log-likelihood, at constant_dispersion_
  double constant_dispersion_ = -1.0;
  std::vector<RowMatrix> u_;    // (l_t * k_t, 1)
  Vector eta_;                  // (n,)
  RowDerivatives derivatives_;  // at eta_
  std::vector<RowMatrix> ZWX_;  // (l_t * k_t, p), joint only, as the next
  Matrix XWX_;                  // (p, p)

  DispersionDerivatives by_dispersion_;  // at the last gradient
  GlmmPoint point_;
  bool is_found_ = false;  // all of this is that of the mode, which point_ tells of
  double mode_tolerance_ = kExactMode;

  std::vector<Matrix> by_lambda_;  // (k_t, k_t) at the last gradient

  // A Newton step, or a way back along it.
  struct Step {
    std::vector<RowMatrix> u;
    Vector eta, beta;
    double decrement = 0.0;  // squared length in the metric of M
  };
  // Room for the work on one point, so that a search allocates nothing that grows with the rows.
  struct Room {
    Step step;
    std::vector<RowMatrix> b, Zs, change, left, solved;
    std::vector<RowMatrix> u;   // before a step
    Vector eta, beta;           // before a step
    Vector h, a, moved, score;  // (n,)
  };
  Room room_;
  Vector M_, D_;  // (l,) of a single scalar term, which needs no Pls

  void take_unit();
  std::vector<std::vector<std::int32_t>> sort_rows(Input& input);
  Vector in_kernel_order(const Eigen::Ref<const Vector>& values) const;
  GlmmPoint finished(GlmmPoint out, double log_likelihood, double penalty) const;
  void prepare(const GlmmParameters& at);
  bool is_at(const GlmmParameters& at) const;
  void foresee(const std::vector<RowMatrix>& b, const Vector& beta, double further);
  GlmmPoint find_mode();
  Vector starting_beta() const;
  bool is_scalar() const { return pls_->n_terms() == 1 && lambda_[0].size() == 1; }
  double renew_factor();
  double factor();
  double renew_pls();
  std::vector<RowMatrix> solve(std::vector<RowMatrix> B) const;
  void inverse_blocks(InverseBlocks& blocks) const;
  void weigh_fixed();
  void set_predictor();
  void newton_step(const std::vector<RowMatrix>& b, const Vector& score);
  bool take(bool check, double& log_likelihood, double& penalty);
  Matrix schur(const std::vector<RowMatrix>& solved) const;
  std::vector<RowMatrix> implicit_change(const Vector& a, const std::vector<RowMatrix>& Za,
                                         Vector& beta) const;
  Vector gathered(const std::vector<Matrix>& by_lambda, const Vector& r) const;
  struct Level;
  struct QuadratureSums;
  void add_scalar_level(const Level& level, const QuadratureGrid& grid, const ShiftedRows& rows,
                        QuadratureSums& sums) const;
  void add_level(const Level& level, const QuadratureGrid& grid, const ShiftedRows& rows,
                 QuadratureSums& sums) const;
  void add_dispersion(const Level& level, QuadratureSums& sums) const;
};

}  // namespace ranef
