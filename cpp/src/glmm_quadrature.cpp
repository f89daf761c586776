// Adaptive Gauss-Hermite quadrature, and its exact gradient.
#include <cmath>
#include <stdexcept>

#include "ranef/glmm.hpp"
#include "ranef/interrupt.hpp"
#include "ranef/quadrature.hpp"

namespace ranef {

namespace {

constexpr double kRootTwo = 1.4142135623730950488;

}  // namespace

// One level: its rows, its columns and the root R of M^-1 = R R'.
struct Glmm::Level {
  const std::int32_t* rows;
  RowMatrix z;                              // (count, k)
  Vector y, weights, eta, score, w, slope;  // (count,) the last three at the mode
  Vector mode;                              // (k,)
  Matrix R;                                 // (k, k) upper triangular
  double at_mode;                           // log-likelihood less half of |u|^2
};

// What levels add up to.
struct Glmm::QuadratureSums {
  Vector r;          // (n,) by the fixed part of the linear predictor
  Matrix by_lambda;  // (k, k)
  double by_dispersion = 0.0, log_ratio = 0.0;
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
  const Index count = order.start[l + 1] - order.start[l];
  Level out;
  out.rows = order.row.data() + order.start[l];
  out.z.resize(count, k);
  for (Vector* values : {&out.y, &out.weights, &out.eta, &out.score, &out.w, &out.slope})
    values->resize(count);
  for (Index i = 0; i < count; ++i) {
    const Index row = out.rows[i];
    out.z.row(i) = products_->z(0).row(row);
    out.y(i) = rows_.y(row);
    out.weights(i) = rows_.weights(row);
    out.eta(i) = eta_(row);
    out.score(i) = derivatives_.score(row);
    out.w(i) = derivatives_.weight(row);
    out.slope(i) = derivatives_.slope(row);
  }
  out.mode = Eigen::Map<const Vector>(u_[0].data() + l * k, k);
  out.R = M.llt().matrixU().solve(Matrix::Identity(k, k));
  Vector value(count), score(count);
  log_likelihoods(likelihood_, out.y.data(), out.eta.data(), count, dispersion_, value.data(),
                  score.data());
  out.at_mode = out.weights.dot(value) - 0.5 * out.mode.squaredNorm();
  return out;
}

// With u_j = u^ + sqrt(2) R x_j each level's integral is its Laplace approximation times
// pi^(-k/2) sum_j w_j exp(x_j'x_j - (f(u_j) - f(u^)) / 2), f the penalised deviance of the level.
//
// A level's part of -2 log-likelihood is log|M| - 2 log sum_j w_j exp(-f(u_j) / 2), and with the
// shares omega_j of the sum and g_j = df/du at u_j its derivative is
//
//   sum_j omega_j df(u_j) + a'du^ + <B, dR> + tr(M^-1 dM),
//   a = sum_j omega_j g_j,  B = sqrt(2) sum_j omega_j g_j x_j'.
//
// R is the transposed inverse of the Cholesky factor of M: <B, dR> = <R P R', dM> with P minus the
// symmetric half of B'R. M moves with lambda and with the weights at the mode, and the mode by
// M du^ = dlambda'Z's - lambda'Z'W (X dbeta + Z dlambda u^) + lambda'Z' ds.
GlmmQuadrature Glmm::quadrature(const HermiteRule& rule) {
  if (pls_->n_terms() != 1) throw std::invalid_argument("quadrature: more than one term");
  if (joint_) throw std::invalid_argument("quadrature: beta is at the joint mode");
  const Index k = lambda_[0].cols();
  const QuadratureGrid grid = product_rule(rule, k);
  const LevelOrder order = level_order();
  DispersionDerivatives at_mode;
  if (likelihood_.has_dispersion())
    dispersion_derivatives(likelihood_, rows_, eta_, dispersion_, at_mode);
  QuadratureSums sums;
  sums.r.resize(eta_.size());
  sums.by_lambda = Matrix::Zero(k, k);
  sums.by_dispersion = -2.0 * at_mode.log_likelihood;
  for (Index l = 0; l < pls_->n_levels(0); ++l) {
    pause();
    add_level(at_level(order, l), grid, at_mode, sums);
  }
  by_lambda_ = {sums.by_lambda};
  GlmmQuadrature out{-2.0 * sums.log_ratio, gathered(by_lambda_, sums.r)};
  if (likelihood_.has_dispersion()) out.gradient(out.gradient.size() - 1) = sums.by_dispersion;
  return out;
}

void Glmm::add_level(const Level& level, const QuadratureGrid& grid,
                     const DispersionDerivatives& at_mode, QuadratureSums& sums) const {
  const Matrix& lambda = lambda_[0];
  const Index k = lambda.cols(), count = level.y.size(), points = grid.log_weight.size();
  const Matrix change = kRootTwo * level.R * grid.x;  // (k, points)
  const Matrix u = change.colwise() + level.mode;
  Matrix eta = level.z * (lambda * change), y(count, points), value(count, points), score(value);
  eta.colwise() += level.eta;
  y.colwise() = level.y;
  log_likelihoods(likelihood_, y.data(), eta.data(), eta.size(), dispersion_, value.data(),
                  score.data());
  Vector omega = grid.log_weight + value.transpose() * level.weights -
                 0.5 * u.colwise().squaredNorm().transpose();
  const double largest = omega.maxCoeff();
  omega = (omega.array() - largest).exp();
  sums.log_ratio += largest + std::log(omega.sum()) - level.at_mode;
  omega /= omega.sum();

  score = level.weights.asDiagonal() * score;
  const Matrix Zs = level.z.transpose() * score;  // (k, points)
  const Matrix g = 2.0 * (u - lambda.transpose() * Zs) * omega.asDiagonal();
  const Matrix P = -symmetric_half(kRootTwo * grid.x * g.transpose() * level.R);
  const Matrix inverse = level.R * (Matrix::Identity(k, k) + P) * level.R.transpose();
  const RowMatrix zl = level.z * lambda;
  const Vector h = (zl * inverse).cwiseProduct(zl).rowwise().sum();
  const Vector a = h.cwiseProduct(level.slope), Za = level.z.transpose() * a;
  const Vector v = level.R * (level.R.transpose() * (g.rowwise().sum() + lambda.transpose() * Za));
  const Vector along = zl * v, moved = level.w.cwiseProduct(along);
  const Vector of_rows = a - moved - 2.0 * score * omega;
  for (Index i = 0; i < count; ++i) sums.r(level.rows[i]) = of_rows(i);
  sums.by_lambda.noalias() += 2.0 * level.z.transpose() * level.w.asDiagonal() * zl * inverse;
  sums.by_lambda.noalias() += (Za - level.z.transpose() * moved) * level.mode.transpose();
  sums.by_lambda.noalias() -= 2.0 * Zs * omega.asDiagonal() * u.transpose();
  sums.by_lambda.noalias() += level.z.transpose() * level.score * v.transpose();
  if (!likelihood_.has_dispersion()) return;
  for (Index i = 0; i < count; ++i) {
    const Index row = level.rows[i];
    double part = -dispersion_part(likelihood_, level.y(i), level.eta(i), dispersion_);
    for (Index j = 0; j < points; ++j)
      if (omega(j) > 1e-300)  // none out of the range of the link, but for rounding
        part += omega(j) * dispersion_part(likelihood_, level.y(i), eta(i, j), dispersion_);
    sums.by_dispersion +=
        h(i) * at_mode.weight(row) + along(i) * at_mode.score(row) - 2.0 * level.weights(i) * part;
  }
}

}  // namespace ranef
