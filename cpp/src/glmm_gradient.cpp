// Derivatives of Laplace's approximation.
#include <cmath>
#include <limits>

#include "ranef/glmm.hpp"
#include "ranef/laplace.hpp"

namespace ranef {
// How eta moves with the mode where the scores change by a: Z Lambda v, joint: X v_beta + Z Lambda
// v.
Vector Glmm::implicit_change(const Vector& a) const {
  std::vector<RowMatrix> v = pls_->solve(products_->transposed(a));
  if (!joint_) return products_->multiply(v);
  const std::vector<RowMatrix> solved = pls_->solve(ZWX_);
  const Vector left = a - derivatives_.weight.cwiseProduct(products_->multiply(v));
  const Vector beta = schur(solved).ldlt().solve(X_.transpose() * left);
  for (std::size_t t = 0; t < v.size(); ++t) v[t].noalias() -= solved[t] * beta;
  return products_->multiply(v) + X_ * beta;
}

Vector Glmm::gradient() {
  InverseBlocks blocks;
  pls_->inverse_blocks(blocks);
  std::vector<Matrix> by_lambda = trace_scores(products_->products(), lambda_, blocks);
  to_random_effects(lambda_, blocks);
  const Vector h = products_->quadratic(blocks.own, blocks.pairs);
  const Vector a = h.cwiseProduct(derivatives_.slope);
  const Vector change = implicit_change(a);
  const Vector left = a - derivatives_.weight.cwiseProduct(change);
  const Vector r = left - 2.0 * derivatives_.score;
  const std::vector<RowMatrix> Zr = products_->transposed(r);
  const std::vector<RowMatrix> Zs = products_->transposed(derivatives_.score);
  const std::vector<RowMatrix> v = times_lambda(lambda_, products_->transposed(left), true);
  for (std::size_t t = 0; t < by_lambda.size(); ++t) {
    const Index k = pls_->k(t), levels = pls_->n_levels(t);
    const auto columns = [&](const RowMatrix& rows) {
      return Eigen::Map<const Matrix>(rows.data(), k, levels);
    };
    by_lambda[t] *= 2.0;
    by_lambda[t].noalias() += columns(Zr[t]) * columns(u_[t]).transpose();
    by_lambda[t].noalias() += columns(Zs[t]) * columns(v[t]).transpose();
  }
  Vector out = gathered(by_lambda, r);
  if (likelihood_.has_dispersion()) {
    DispersionDerivatives by_dispersion;
    dispersion_derivatives(likelihood_, rows_, eta_, dispersion_, by_dispersion);
    out(out.size() - 1) = h.dot(by_dispersion.weight) + change.dot(by_dispersion.score) -
                          2.0 * by_dispersion.log_likelihood;
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
