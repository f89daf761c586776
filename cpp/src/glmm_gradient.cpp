// Derivatives of Laplace's approximation.
#include <cmath>
#include <limits>

#include "ranef/glmm.hpp"
#include "ranef/laplace.hpp"

namespace ranef {
namespace {

// Step of a difference of the weights' slopes by the linear predictor.
constexpr double kSlopeStep = 1e-4;

}  // namespace

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

// What log|M| adds to the gradient through the weights: h, a, Z'a in room_.left, and how random
// effects, coefficients at a joint mode, and linear predictors move with the mode.
void Glmm::weigh_moves(InverseBlocks& blocks, Vector& beta) {
  to_random_effects(lambda_, blocks);
  products_->quadratic(blocks.own, blocks.pairs, room_.h);
  room_.a = room_.h.cwiseProduct(derivatives_.slope);
  products_->transpose(room_.a, room_.left);
  room_.effects = implicit_change(room_.a, room_.left, beta);
  if (joint_ && !likelihood_.has_dispersion()) return;
  products_->multiply(room_.effects, room_.moved);
  if (joint_) room_.moved.noalias() += X_ * beta;
}

Vector Glmm::logdet_gradient_beta() {
  want_factor();
  InverseBlocks blocks;
  inverse_blocks(blocks);
  is_spent_ = pls_->n_terms() > 1;
  Vector none;
  weigh_moves(blocks, none);
  room_.a -= derivatives_.weight.cwiseProduct(room_.moved);
  return X_.transpose() * room_.a;
}

double Glmm::logdet_roughness(const Matrix& root) const {
  if (root.size() == 0) return 0.0;
  const Eigen::RowVectorXd reach = X_.cwiseAbs().colwise().maxCoeff() * root.cwiseAbs();
  return reach.maxCoeff() * room_.h.cwiseProduct(derivatives_.weight).maxCoeff();
}

// With x~_i = x_i - D_l z_i Z_l'W X, how the predictor of row i of level l moves with beta, and
// b_l = sum_i z_i^2 w'_i x~_i, log|M| adds to twice the information
//
//   sum_i (D_l z_i^2 w''_i - D_l^2 z_i w'_i sum z^3 w') x~_i x~_i' - sum_l D_l^2 b_l b_l'.
Matrix Glmm::hessian_beta() {
  if (joint_ || !is_scalar() || likelihood_.link == Link::inverse) return {};
  weigh_fixed();
  const Index n = eta_.size(), p = X_.cols();
  const auto z = products_->z(0).col(0);
  const std::vector<std::int32_t>& level = products_->codes(0);
  Vector bend = Vector::Zero(n);  // w''
  for (const double step : {kSlopeStep, -kSlopeStep}) {
    RowDerivatives at;
    const Vector moved = eta_.array() + step;
    if (!std::isfinite(row_derivatives(likelihood_, rows_, moved, dispersion_, at))) return {};
    bend += at.slope / (2.0 * step);
  }
  const RowMatrix pull = D_.asDiagonal() * ZWX_[0];
  Matrix moves(n, p);
  Vector weight = z.cwiseProduct(derivatives_.slope);
  std::vector<RowMatrix> sums;
  products_->transpose(z.cwiseProduct(weight), sums);
  for (Index i = 0; i < n; ++i) {
    const Index l = level[static_cast<std::size_t>(i)];
    for (Index j = 0; j < p; ++j) moves(i, j) = X_(i, j) - z(i) * pull(l, j);
    bend(i) = D_(l) * (z(i) * z(i) * bend(i) - D_(l) * sums[0](l, 0) * weight(i));
  }
  Matrix out, unused;
  products_->weigh(moves, weight, sums, unused);
  std::vector<RowMatrix> none;
  products_->weigh(moves, bend, none, out);
  const RowMatrix b = D_.asDiagonal() * sums[0];
  out += 2.0 * information_beta();
  out.noalias() -= b.transpose() * b;
  return out;
}

Vector Glmm::gradient() {
  if (is_found_ && gradient_.size() > 0) return gradient_;
  if (joint_) weigh_fixed();
  want_factor();
  InverseBlocks blocks;
  inverse_blocks(blocks);
  is_spent_ = pls_->n_terms() > 1;
  std::vector<Matrix> by_lambda = trace_scores(products_->products(), lambda_, blocks);
  Vector beta;
  weigh_moves(blocks, beta);
  Vector &h = room_.h, &a = room_.a, &change = room_.moved;
  const std::vector<RowMatrix>& moved = room_.effects;
  std::vector<RowMatrix>&Zr = room_.left, &Zs = room_.Zs, &WZ = room_.change;
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
  gradient_ = out;
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
