// A generalised linear mixed model with crossed random intercepts by Laplace's approximation, when
// no factor of M = I + Lambda'Z'W Z Lambda is affordable.
//
// The model and its derivatives are those of `Glmm`. Newton's steps to the mode are solved by
// conjugate gradients, no more precisely than the step deserves; log|M| is sampled at the mode, and
// h_i = z_i'Lambda M^-1 Lambda'z_i is the derivative of that sample by w_i: value and gradient
// belong together exactly.
#pragma once

#include <memory>
#include <tuple>
#include <vector>

#include "ranef/crossed_pls.hpp"
#include "ranef/glmm.hpp"

namespace ranef {

// What the exact method would need for these rows, and which is taken; see plan_method.
MethodPlan plan_rows(const Input& input, const MethodSettings& settings);

class CrossedGlmm {
 public:
  // `input` has two or more terms of one column each, and neither response nor weights. Throws
  // ModelTooLarge where the machine has not the memory.
  CrossedGlmm(const Input& input, const Likelihood& likelihood, ResponseRows rows, Vector offset,
              const CrossedSettings& settings);

  // As of Glmm.
  GlmmPoint evaluate(const GlmmParameters& at);
  Vector gradient();
  Matrix information_beta();
  std::vector<Matrix> modes() const;
  std::vector<Matrix> conditional_covariances();
  Vector prediction_variances(const Matrix& X, const Matrix& cov_beta,
                              const std::vector<NewTerm>& terms);
  Vector eta() const { return eta_ / unit_; }
  void restart();
  std::vector<std::tuple<std::size_t, int, int>> parameters() const;
  std::vector<Matrix> lambda(const Vector& theta, bool standard) const;
  const StandardBasis& basis() const { return basis_; }
  Matrix term_basis(std::size_t t) const { return basis_.Tz[order_.at(t)]; }
  std::vector<Matrix> gradient_by_factors() const;

  // Standard deviations to start a search from, by moments of the scores without random effects.
  Vector start(double dispersion);
  // Roughly how -2 log L bends along each element of theta at the last evaluate().
  Vector curvature() const;

  // gradient() by each of `parts` parts of the sample, a column each, at the last evaluate().
  Matrix gradient_parts(int parts);
  // Make the sample as large as promised; `theta_sd` as of Approximation. Whether it changed.
  bool improve(double theta_sd) {
    const bool changed = pls_->improve_sample(theta_sd);
    if (changed) is_found_ = false;
    return changed;
  }
  Approximation approximation() const { return pls_->approximation(); }
  // With these and the approximation resume() makes the same sample again.
  const RowMatrix& deflation() const { return pls_->deflation(); }
  void resume(const Approximation& former, RowMatrix V) {
    pls_->resume_sample(former, std::move(V));
    is_found_ = false;
  }

 private:
  Likelihood likelihood_;
  ResponseRows rows_;  // y in units of unit_, predictors in units of 1 / unit_
  Vector offset_;
  double unit_ = 1.0;
  StandardBasis basis_;             // terms in the kernel's order
  std::vector<std::size_t> place_;  // kernel's term -> user's term
  std::vector<std::size_t> order_;  // user's term -> kernel's term
  Matrix X_;                        // (n, p) kept columns, standardised
  std::unique_ptr<RowProducts> products_;
  std::unique_ptr<CrossedPls> pls_;

  // The last evaluate().
  Vector theta_;
  std::vector<Matrix> lambda_;  // (1, 1)
  Vector beta_;
  bool joint_ = false;
  double dispersion_ = 1.0, constant_ = 0.0, constant_dispersion_ = -1.0;
  CrossedPls::Halves u_;
  Vector eta_, eta_before_;
  RowDerivatives derivatives_;  // at eta_
  std::vector<RowMatrix> ZWX_;  // (l_t, p), joint only
  CrossedPls::Halves solved_;   // (.., p) M^-1 Lambda'ZWX, joint only
  std::vector<Matrix> by_lambda_;
  GlmmPoint point_;
  bool is_found_ = false;  // point_ is that of theta_, beta_ and dispersion_

  void take_unit();
  void prepare(const GlmmParameters& at);
  GlmmPoint find_mode();
  Vector starting_beta() const;
  std::vector<RowMatrix> to_effects(const CrossedPls::Halves& u) const;
  Vector predictor(const CrossedPls::Halves& u, const Vector& beta) const;
  struct Step;
  CrossedPls::Halves mode_gradient() const;
  CrossedPls::Halves solve_beside(const CrossedPls::Halves& right, double tolerance);
  Vector take_out_beta(Vector of_X, CrossedPls::Halves& u) const;
  Step newton_step(const CrossedPls::Halves& g, double reduction);
  bool stands_at(const GlmmParameters& at) const;
  bool fit_fixed();
  bool take(const Step& step, bool check, double& log_likelihood, double& penalty);
  Vector of_fixed(const Vector& r) const;
  Matrix schur(const std::vector<RowMatrix>& solved) const;
  Matrix gradients(const std::vector<DeterminantSlopes>& slopes);
};

}  // namespace ranef
