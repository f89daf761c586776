// Derivatives of Laplace's approximation.
#include <cmath>
#include <limits>

#include "ranef/glmm.hpp"
#include "ranef/laplace.hpp"

namespace ranef {
// How random effects move with the mode where the scores change by a, Za = Z'a: v = D Za. At a
// joint mode `beta` is how beta moves with them; else it stays empty.
std::vector<RowMatrix> Glmm::implicit_change(const Vector& a, const std::vector<RowMatrix>& Za,
                                             Vector& beta) const {
  std::vector<RowMatrix> v = solve(Za);
  if (!joint_) return v;
  const std::vector<RowMatrix> solved = solve(ZWX_);
  Vector left = X_.transpose() * a;
  for (std::size_t t = 0; t < v.size(); ++t) left.noalias() -= ZWX_[t].transpose() * v[t].col(0);
  beta = schur(solved).ldlt().solve(left);
  for (std::size_t t = 0; t < v.size(); ++t) v[t].noalias() -= solved[t] * beta;
  return v;
}

Vector Glmm::gradient() {
  InverseBlocks blocks;
  inverse_blocks(blocks);
  if (pls_->n_terms() > 1) is_found_ = false;  // the factor is spent
  std::vector<Matrix> by_lambda = trace_scores(products_->products(), lambda_, blocks);
  to_random_effects(lambda_, blocks);
  Vector &h = room_.h, &a = room_.a, &change = room_.moved;
  std::vector<RowMatrix>&Zr = room_.left, &Zs = room_.Zs, &WZ = room_.change;
  products_->quadratic(blocks.own, blocks.pairs, h);
  a = h.cwiseProduct(derivatives_.slope);
  products_->transpose(a, Zr);
  Vector beta;
  const std::vector<RowMatrix> moved = implicit_change(a, Zr, beta);
  if (!joint_ || likelihood_.has_dispersion()) {
    products_->multiply(moved, change);
    if (joint_) change.noalias() += X_ * beta;
  }
  products_->transpose(derivatives_.score, Zs);
  products_->apply(moved, WZ);
  for (std::size_t t = 0; t < Zr.size(); ++t) {
    Zr[t] -= WZ[t];
    if (joint_) Zr[t].noalias() -= ZWX_[t] * beta;
  }
  const std::vector<RowMatrix> v = times_lambda(lambda_, Zr, true);
  for (std::size_t t = 0; t < Zr.size(); ++t) Zr[t] -= 2.0 * Zs[t];
  for (std::size_t t = 0; t < by_lambda.size(); ++t) {
    const Index k = pls_->k(t), levels = pls_->n_levels(t);
    const auto columns = [&](const RowMatrix& rows) {
      return Eigen::Map<const Matrix>(rows.data(), k, levels);
    };
    by_lambda[t] *= 2.0;
    by_lambda[t].noalias() += columns(Zr[t]) * columns(u_[t]).transpose();
    by_lambda[t].noalias() += columns(Zs[t]) * columns(v[t]).transpose();
  }
  if (!joint_) a -= derivatives_.weight.cwiseProduct(change) + 2.0 * derivatives_.score;
  Vector out = gathered(by_lambda, a);
  if (likelihood_.has_dispersion()) {
    dispersion_derivatives(likelihood_, rows_, eta_, dispersion_, by_dispersion_);
    out(out.size() - 1) = h.dot(by_dispersion_.weight) + change.dot(by_dispersion_.score) -
                          2.0 * by_dispersion_.log_likelihood;
  }
  by_lambda_ = std::move(by_lambda);
  return out;
}

// The gradient from derivatives by each lambda and by the linear predictor's fixed part; that by
// the dispersion is left open.
Vector Glmm::gathered(const std::vector<Matrix>& by_lambda, const Vector& r) const {
  const Vector theta = by_parameters(*pls_, theta_, by_lambda);
  const Index m = theta.size(), p = joint_ ? 0 : X_.cols();
  Vector out(m + p + (likelihood_.has_dispersion() ? 1 : 0));
  out.head(m) = theta;
  if (!joint_) out.segment(m, p).noalias() = X_.transpose() * r;
  return out;
}

std::vector<Matrix> Glmm::gradient_by_factors() const {
  std::vector<Matrix> out;
  for (std::size_t kernel : order_) out.push_back(by_lambda_.at(kernel));
  return out;
}

}  // namespace ranef
