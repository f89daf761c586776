// Adaptive Gauss-Hermite quadrature, and its exact gradient.
#include <cmath>
#include <stdexcept>

#include "ranef/glmm.hpp"

namespace ranef {
namespace {

constexpr double kRootTwo = 1.4142135623730950488, kRootPi = 1.7724538509055160273;

// The product rule: nodes (k, points), and log weights with pi^(-k/2) and exp(x'x) in them.
struct Grid {
  Matrix x;
  Vector log_weight;
};

Grid product_rule(const HermiteRule& rule, Index k) {
  const Index nodes = rule.nodes.size();
  Index points = 1;
  for (Index j = 0; j < k; ++j) points *= nodes;
  Grid out{Matrix(k, points), Vector::Zero(points)};
  for (Index point = 0; point < points; ++point)
    for (Index j = 0, rest = point; j < k; ++j, rest /= nodes) {
      const double x = rule.nodes(rest % nodes);
      out.x(j, point) = x;
      out.log_weight(point) += std::log(rule.weights(rest % nodes) / kRootPi) + x * x;
    }
  return out;
}

// Half of the lower triangle mirrored: what the factor of a symmetric matrix does to a derivative.
Matrix symmetric_half(const Matrix& A) {
  Matrix out = A.triangularView<Eigen::StrictlyLower>();
  out += out.transpose().eval();
  out.diagonal() = A.diagonal();
  return 0.5 * out;
}

}  // namespace

// One level: its rows, its columns and the root R of M^-1 = R R'.
struct Glmm::Level {
  const std::int32_t* rows;
  Index count;
  RowMatrix z;  // (count, k)
  Vector mode;  // (k,)
  Matrix R;     // (k, k) upper triangular
};

LevelOrder Glmm::level_order() const {
  const TermProducts& A = products_->products().terms[0];
  return order_by_level({products_->codes(0).data(), A.n_levels, {}, {}}, eta_.size());
}

Glmm::Level Glmm::at_level(const LevelOrder& order, Index l) const {
  const TermProducts& A = products_->products().terms[0];
  const Index k = A.k;
  const Eigen::Map<const Matrix> own(A.own.data() + l * k * k, k, k);
  const Matrix M = Matrix::Identity(k, k) + lambda_[0].transpose() * own * lambda_[0];
  Level out;
  out.rows = order.row.data() + order.start[l];
  out.count = order.start[l + 1] - order.start[l];
  out.z.resize(out.count, k);
  for (Index i = 0; i < out.count; ++i) out.z.row(i) = products_->z(0).row(out.rows[i]);
  out.mode = Eigen::Map<const Vector>(u_[0].data() + l * k, k);
  out.R = M.llt().matrixU().solve(Matrix::Identity(k, k));
  return out;
}

// With u = u^ + sqrt(2) R x each level's integral is its Laplace approximation times
// pi^(-k/2) sum_j w_j exp(x_j'x_j - (f(u_j) - f(u^)) / 2), f the penalised deviance of the level.
double Glmm::quadrature(const HermiteRule& rule) const {
  if (pls_->n_terms() != 1) throw std::invalid_argument("quadrature: more than one term");
  const Grid grid = product_rule(rule, lambda_[0].cols());
  const LevelOrder order = level_order();
  Vector eta, log_terms(grid.log_weight.size());
  double sum = 0.0;
  for (Index l = 0; l < pls_->n_levels(0); ++l) {
    const Level level = at_level(order, l);
    const auto penalised = [&](const Vector& change) {
      eta.noalias() = level.z * (lambda_[0] * change);
      for (Index i = 0; i < level.count; ++i) eta(i) += eta_(level.rows[i]);
      return (level.mode + change).squaredNorm() -
             2.0 * log_likelihood(likelihood_, rows_, level.rows, level.count, eta.data(),
                                  dispersion_);
    };
    const double at_mode = penalised(Vector::Zero(level.mode.size()));
    for (Index j = 0; j < log_terms.size(); ++j)
      log_terms(j) = grid.log_weight(j) -
                     0.5 * (penalised(kRootTwo * level.R * grid.x.col(j)) - at_mode);
    const double largest = log_terms.maxCoeff();
    sum += largest + std::log((log_terms.array() - largest).exp().sum());
  }
  return -2.0 * sum;
}

// A level's part is log|M| - 2 log sum_j w_j exp(-f(u_j) / 2), and with the shares omega_j of the
// sum, g_j = df/du at u_j = u^ + sqrt(2) R x_j, its derivative is
//
//   sum_j omega_j df(u_j) + a'du^ + <B, dR> + tr(M^-1 dM),  a = sum omega g,  B = sqrt(2) sum omega
//   g x'.
//
// R is the transposed inverse of the Cholesky factor of M: <B, dR> = <R P R', dM> with P minus the
// symmetric half of B'R. M moves with lambda and with the weights at the mode, and the mode by M
// du^ = dlambda'Z's - lambda'Z'W (X dbeta + Z dlambda u^ - ds).
Vector Glmm::quadrature_gradient(const HermiteRule& rule) {
  if (pls_->n_terms() != 1) throw std::invalid_argument("quadrature: more than one term");
  if (joint_) throw std::invalid_argument("quadrature: beta is at the joint mode");
  const Matrix& lambda = lambda_[0];
  const Index k = lambda.cols();
  const Grid grid = product_rule(rule, k);
  const Index points = grid.log_weight.size();
  const LevelOrder order = level_order();
  DispersionDerivatives at_mode;
  const bool disperses = likelihood_.has_dispersion();
  if (disperses) dispersion_derivatives(likelihood_, rows_, eta_, dispersion_, at_mode);
  double by_dispersion = -2.0 * at_mode.log_likelihood;
  Vector r(eta_.size()), log_terms(points);
  Matrix by_lambda = Matrix::Zero(k, k), eta, score;
  for (Index l = 0; l < pls_->n_levels(0); ++l) {
    const Level level = at_level(order, l);
    const Matrix change = kRootTwo * level.R * grid.x;  // (k, points)
    const Matrix u = change.colwise() + level.mode;
    eta.noalias() = level.z * (lambda * change);
    score.resize(level.count, points);
    Vector s(level.count), w(level.count), slope(level.count);
    for (Index i = 0; i < level.count; ++i) {
      const Index row = level.rows[i];
      eta.row(i).array() += eta_(row);
      s(i) = derivatives_.score(row);
      w(i) = derivatives_.weight(row);
      slope(i) = derivatives_.slope(row);
    }
    for (Index j = 0; j < points; ++j)
      log_terms(j) = grid.log_weight(j) - 0.5 * u.col(j).squaredNorm() +
                     log_likelihood(likelihood_, rows_, level.rows, level.count, eta.col(j).data(),
                                    dispersion_, score.col(j).data());
    Vector omega = (log_terms.array() - log_terms.maxCoeff()).exp();
    omega /= omega.sum();
    const Matrix Zs = level.z.transpose() * score;  // (k, points)
    const Matrix g = 2.0 * (u - lambda.transpose() * Zs) * omega.asDiagonal();
    const Matrix P = -symmetric_half(kRootTwo * grid.x * g.transpose() * level.R);
    const Matrix inverse = level.R * (Matrix::Identity(k, k) + P) * level.R.transpose();
    const RowMatrix zl = level.z * lambda;
    const Vector h = (zl * inverse).cwiseProduct(zl).rowwise().sum();
    const Vector a = h.cwiseProduct(slope), Za = level.z.transpose() * a;
    const Vector v = level.R * (level.R.transpose() * (g.rowwise().sum() + lambda.transpose() * Za));
    const Vector along = zl * v, moved = w.cwiseProduct(along);
    const Vector of_rows = a - moved - 2.0 * score * omega;
    for (Index i = 0; i < level.count; ++i) r(level.rows[i]) = of_rows(i);
    by_lambda.noalias() += 2.0 * level.z.transpose() * w.asDiagonal() * zl * inverse;
    by_lambda.noalias() += (Za - level.z.transpose() * moved) * level.mode.transpose();
    by_lambda.noalias() -= 2.0 * Zs * omega.asDiagonal() * u.transpose();
    by_lambda.noalias() += level.z.transpose() * s * v.transpose();
    if (!disperses) continue;
    for (Index i = 0; i < level.count; ++i) {
      const Index row = level.rows[i];
      double part = -dispersion_part(likelihood_, rows_.y(row), eta_(row), dispersion_);
      for (Index j = 0; j < points; ++j)
        part += omega(j) * dispersion_part(likelihood_, rows_.y(row), eta(i, j), dispersion_);
      by_dispersion += h(i) * at_mode.weight(row) + along(i) * at_mode.score(row) -
                       2.0 * rows_.weights(row) * part;
    }
  }
  by_lambda_ = {by_lambda};
  Vector out = gathered(by_lambda_, r);
  if (disperses) out(out.size() - 1) = by_dispersion;
  return out;
}

}  // namespace ranef
