// Models of several linear predictors by Laplace's approximation, with the exact gradient.
//
//   eta_a = offset_a + X_a beta + Z_a Lambda u,  u ~ N(0, I)           a = 1 .. N
//   d     = -2 sum_i l(y_i, eta_i) + |u|^2 + log|M| at the mode of u,  M = I + Lambda'Z'W Z Lambda
//
// Some predictors are active: terms belong to one of them each. W_i (r, r) are minus the second
// derivatives of l by the active ones; M's blocks of two terms are weighted by the entry of their
// predictors. With h_i the (r, r) block of Z Lambda M^-1 Lambda'Z' of row i,
// a_im = sum_kl h_i[k, l] dW_i[k, l] / d eta_im, s = dl / d eta and c = Z Lambda M^-1 Lambda'Z'a,
//
//   r_m = -2 s_m + a_m + sum_k c_k d2l / d eta_k d eta_m
//   dd/dbeta   = sum_m X_m'r_m
//   dd/dlambda = sum_l [Z'r]_l u_l' + [Z's]_l v_l' + 2 [Z'W Z Lambda M^-1]_ll,  v = M^-1 Lambda'Z'a
//
// W may be indefinite. Steps to the mode use its positive part where M is not positive definite;
// the criterion is the exact one, and a point where M is not positive definite is infeasible.
//
// References: as glmm.hpp; Brooks et al. (2017), R Journal 9(2), 378-400.
#pragma once

#include <memory>
#include <tuple>
#include <vector>

#include "ranef/glmm.hpp"
#include "ranef/row_model.hpp"

namespace ranef {

// One linear predictor. Several may share coefficients.
struct PredictorInput {
  Matrix X;                // (n, p_a)
  std::vector<int> index;  // (p_a,) place of each column's coefficient in beta
  Vector offset;           // (n,), or empty
};

// A random-effects term of one predictor; columns standardised.
struct PredictorTerm {
  std::vector<std::int32_t> codes;  // (n,)
  Index n_levels;
  RowMatrix z;              // (n, k)
  std::vector<int> blocks;  // (k,) block of each column
  int predictor;
  BlockStructures structures = {};  // of each block; none: all are free
};

// The columns of one predictor, orthonormalised: X = (columns) T, b = Tz b~.
struct StandardColumns {
  Matrix X;                        // (n, p) kept columns
  Matrix T;                        // (p, p)
  std::vector<int> kept, aliased;  // columns that are kept, first come, and the others
  Matrix alias;                    // (p, n_aliased) each of those by the kept ones
  std::vector<RowMatrix> z;        // (n, k_t)
  std::vector<Matrix> Tz;          // (k_t, k_t)
};
StandardColumns standard_columns(const Input& input);

// Log-likelihood of the rows given the random effects, and its gradient.
struct JointPoint {
  double log_likelihood = 0.0;     // -infinity, or NaN, where a row is out of range
  Vector by_beta;                  // (P,)
  std::vector<Matrix> by_effects;  // (k_t, l_t), user's order
};

class Predictors {
 public:
  Predictors(std::unique_ptr<RowModel> rows, std::vector<PredictorInput> inputs,
             std::vector<PredictorTerm> terms, Index n_beta);

  GlmmPoint evaluate(const Vector& theta, const Vector& beta);

  // Gradient by theta and beta at the last evaluate(), which must be feasible.
  Vector gradient();
  std::vector<Matrix> gradient_by_factors() const;  // user's order; see Glmm

  // At coefficients and at random effects b = Lambda u of each term, (k_t, l_t) in the user's
  // order.
  JointPoint joint(const Vector& beta, const std::vector<Matrix>& effects) const;
  // Log density of each row there, (n,).
  Vector row_densities(const Vector& beta, const std::vector<Matrix>& effects) const;

  // As Glmm::quadrature: one term only.
  GlmmQuadrature quadrature(const HermiteRule& rule);

  // (P, P) minus the second derivatives of the criterion's likelihood by beta, W held: observed.
  Matrix information_beta();

  // Standardised random effects, user's order: (k_t, l_t) and (k_t * k_t, l_t).
  std::vector<Matrix> modes() const;
  std::vector<Matrix> conditional_covariances();
  Vector prediction_variances(const Matrix& X, const Matrix& cov_beta,
                              const std::vector<NewTerm>& terms);

  const Matrix& eta() const { return eta_; }
  void restart();

  std::vector<std::tuple<std::size_t, int, int>> parameters() const;
  // Natural parameters of each block's structure in a term, whose columns have scales (k,).
  std::vector<Vector> natural_parameters(std::size_t t, const Vector& theta,
                                         const Vector& scale) const {
    return pls_->natural(theta, order_.at(t), scale);
  }
  std::vector<Matrix> lambda(const Vector& theta) const;  // lower triangular, user's order

 private:
  std::unique_ptr<RowModel> rows_;
  std::vector<PredictorInput> inputs_;
  Index n_beta_;
  std::vector<int> active_;         // predictors that have terms
  std::vector<std::size_t> place_;  // kernel's term -> user's term
  std::vector<std::size_t> order_;  // user's term -> kernel's term
  std::vector<int> owner_;          // kernel's term -> position among the active
  std::unique_ptr<RowProducts> products_;
  std::unique_ptr<Pls> pls_;

  // The last evaluate().
  bool known_ = false;  // it was feasible
  GlmmPoint last_;
  Vector theta_, beta_;
  bool has_gradient_ = false;
  Vector gradient_;
  bool is_solvable_ = false, is_invertible_ = false;  // what the factor there is good for
  std::vector<Matrix> lambda_;
  std::vector<RowMatrix> u_;  // (l_t * k_t, 1)
  Matrix fixed_, eta_;        // (n, N)
  Matrix score_, weight_;     // (n, r), (n, r (r + 1) / 2) at eta_
  std::vector<Matrix> by_lambda_;
  Matrix shapes_;          // inactive predictors for which the constants are known
  double constant_ = 0.0;  // what search() leaves out of the log-likelihood there

  struct Step;
  struct Level;
  struct Sums;
  void plan(const std::vector<PredictorTerm>& terms);
  bool has_terms() const { return pls_ != nullptr; }
  Matrix fixed_part(const Vector& beta) const;
  void set_eta(const std::vector<RowMatrix>& u);
  Matrix eta_at(const Vector& beta, const std::vector<Matrix>& effects) const;
  GlmmPoint evaluate_anew(const Vector& theta, const Vector& beta);
  void keep_effects(const std::vector<Matrix>& before);
  bool nothing_varies() const;
  GlmmPoint without_effects();
  GlmmPoint find_mode();
  void finish(GlmmPoint& out, double log_likelihood, double penalty);
  void prepare(bool inverse);
  void invert(InverseBlocks& out);
  Vector gradient_anew();
  double whole(double log_likelihood);
  double factor(const Matrix& weight);
  bool leading_is_positive() const;
  Step newton_step(const Matrix& weight) const;
  bool take(const Step& step, bool check, double& log_likelihood, double& penalty);
  Matrix weighted(const Matrix& weight, const Matrix& rows) const;
  Vector by_beta(const Matrix& r) const;
  std::vector<RowMatrix> coupled(const Matrix& second) const;
  Level at_level(const LevelOrder& order, Index l, const Matrix& second, const Matrix& slope) const;
  void add_level(const Level& level, const QuadratureGrid& grid, Sums& sums) const;
};

}  // namespace ranef
