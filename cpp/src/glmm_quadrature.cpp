// Adaptive Gauss-Hermite quadrature, and its exact gradient.
#include <cmath>
#include <stdexcept>

#include "ranef/dense.hpp"
#include "ranef/glmm.hpp"
#include "ranef/interrupt.hpp"
#include "ranef/quadrature.hpp"

namespace ranef {

namespace {

constexpr double kRootTwo = 1.4142135623730950488;

// To shares of their sum; its logarithm.
double normalise(Eigen::Ref<Vector> log_shares) {
  const double largest = log_shares.maxCoeff();
  log_shares = (log_shares.array() - largest).exp();
  const double sum = log_shares.sum();
  log_shares /= sum;
  return largest + std::log(sum);
}

}  // namespace

// One level: its rows, of which the single term makes neighbours, and the root R of M^-1 = R R'.
struct Glmm::Level {
  Index number, first, count;
  Eigen::Map<const Matrix> own;  // (k, k) Z'W Z
};

// What levels add up to, and room for one of them.
struct Glmm::QuadratureSums {
  Vector r;          // (n,) by the fixed part of the linear predictor
  Matrix by_lambda;  // (k, k)
  double by_dispersion = 0.0, log_ratio = 0.0;
  DispersionDerivatives at_mode;  // where there is a dispersion

  Vector omega;         // (points,) shares of the nodes
  Vector score, moved;  // (count, points), (count,)
  Matrix shift;         // (count, points) of the linear predictors
  Vector h, along;      // (count,)
};

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
  const ShiftedRows rows(likelihood_, rows_, eta_, dispersion_);
  QuadratureSums sums;
  if (likelihood_.has_dispersion())
    dispersion_derivatives(likelihood_, rows_, eta_, dispersion_, sums.at_mode);
  sums.r.resize(eta_.size());
  sums.by_lambda = Matrix::Zero(k, k);
  sums.by_dispersion = -2.0 * sums.at_mode.log_likelihood;
  const std::vector<Index>& start = products_->starts();
  const Matrix& own = products_->products().terms[0].own;
  for (Index l = 0; l < pls_->n_levels(0); ++l) {
    pause();
    const Level level{l, start[l], start[l + 1] - start[l], {own.data() + l * k * k, k, k}};
    if (k == 1)
      add_scalar_level(level, grid, rows, sums);
    else
      add_level(level, grid, rows, sums);
    if (likelihood_.has_dispersion()) add_dispersion(level, sums);
  }
  by_lambda_ = {sums.by_lambda};
  GlmmQuadrature out{-2.0 * sums.log_ratio, gathered(by_lambda_, sums.r)};
  if (likelihood_.has_dispersion()) out.gradient(out.gradient.size() - 1) = sums.by_dispersion;
  return out;
}

// The sum over the nodes for one random effect a level.
void Glmm::add_scalar_level(const Level& level, const QuadratureGrid& grid, const ShiftedRows& rows,
                            QuadratureSums& sums) const {
  const double lambda = lambda_[0](0, 0), mode = u_[0](level.number, 0);
  const double R = 1.0 / std::sqrt(1.0 + lambda * lambda * level.own(0, 0));
  const Index first = level.first, count = level.count, points = grid.log_weight.size();
  const Eigen::Map<const Vector> z(products_->z(0).data() + first, count);
  const auto score_at = derivatives_.score.segment(first, count);
  const auto w = derivatives_.weight.segment(first, count);
  const bool is_constant = z.minCoeff() == z.maxCoeff();
  sums.score.resize(count * points);
  sums.shift.resize(count, points);
  sums.omega.resize(points);
  for (Index j = 0; j < points; ++j) {
    const double change = kRootTwo * R * grid.x(0, j), u = mode + change;
    double* score = sums.score.data() + j * count;
    sums.shift.col(j) = (lambda * change) * z;
    const double value = is_constant ? rows.at(first, count, sums.shift(0, j), score)
                                     : rows.at(first, count, sums.shift.col(j).data(), score);
    sums.omega(j) = grid.log_weight(j) + value - 0.5 * u * u;
  }
  sums.moved.resize(count);
  const double at_mode = rows.at(first, count, 0.0, sums.moved.data()) - 0.5 * mode * mode;
  sums.log_ratio += normalise(sums.omega) - at_mode;

  auto r = sums.r.segment(first, count);
  r.setZero();
  double g = 0.0, gx = 0.0, by_lambda = 0.0;
  for (Index j = 0; j < points; ++j) {
    const double u = mode + kRootTwo * R * grid.x(0, j), omega = sums.omega(j);
    const Eigen::Map<const Vector> score(sums.score.data() + j * count, count);
    const double Zs = z.dot(score), of_node = 2.0 * omega * (u - lambda * Zs);
    r -= (2.0 * omega) * score;
    g += of_node;
    gx += of_node * grid.x(0, j);
    by_lambda -= 2.0 * omega * Zs * u;
  }
  const double inverse = R * R * (1.0 - 0.5 * kRootTwo * gx * R);
  sums.h = (lambda * lambda * inverse) * z.cwiseAbs2();
  sums.along = sums.h.cwiseProduct(derivatives_.slope.segment(first, count));  // a, for a while
  const double Za = z.dot(sums.along), v = R * R * (g + lambda * Za);
  r += sums.along;
  sums.along = (lambda * v) * z;
  sums.moved = w.cwiseProduct(sums.along);
  r -= sums.moved;
  by_lambda += 2.0 * lambda * inverse * z.cwiseAbs2().dot(w);
  by_lambda += (Za - z.dot(sums.moved)) * mode + z.dot(score_at) * v;
  sums.by_lambda(0, 0) += by_lambda;
}

// The same for several.
void Glmm::add_level(const Level& level, const QuadratureGrid& grid, const ShiftedRows& rows,
                     QuadratureSums& sums) const {
  const Matrix& lambda = lambda_[0];
  const Index k = lambda.cols(), points = grid.log_weight.size();
  const Index first = level.first, count = level.count;
  const Matrix one = Matrix::Identity(k, k);
  const Matrix M = one + product(crossprod(lambda, level.own), lambda);
  const Matrix R = M.llt().matrixU().solve(one);
  const Matrix mode = Eigen::Map<const Matrix>(u_[0].data() + level.number * k, k, 1);
  const Matrix Z = products_->z(0).middleRows(first, count);
  const Matrix change = product(kRootTwo * R, grid.x);  // (k, points)
  sums.shift = product(Z, product(lambda, change));
  sums.score.resize(count * points);
  sums.omega.resize(points);
  Matrix u = change;
  for (Index j = 0; j < points; ++j) {
    u.col(j) += mode.col(0);
    const double value =
        rows.at(first, count, sums.shift.col(j).data(), sums.score.data() + j * count);
    sums.omega(j) = grid.log_weight(j) + value - 0.5 * u.col(j).squaredNorm();
  }
  sums.moved.resize(count);
  const double at_mode = rows.at(first, count, 0.0, sums.moved.data()) - 0.5 * mode.squaredNorm();
  sums.log_ratio += normalise(sums.omega) - at_mode;

  const Matrix scores = Eigen::Map<const Matrix>(sums.score.data(), count, points);
  Matrix Zs = crossprod(Z, scores);  // (k, points)
  Matrix g = u - crossprod(lambda, Zs);
  for (Index j = 0; j < points; ++j) {
    g.col(j) *= 2.0 * sums.omega(j);
    Zs.col(j) *= 2.0 * sums.omega(j);
  }
  const Matrix P = -symmetric_half(product(kRootTwo * tcrossprod(grid.x, g), R));
  const Matrix inverse = tcrossprod(product(R, one + P), R), zl = product(Z, lambda);
  const Matrix zi = product(zl, inverse);
  sums.h = zi.cwiseProduct(zl).rowwise().sum();
  const Matrix a = sums.h.cwiseProduct(derivatives_.slope.segment(first, count));
  const Matrix Za = crossprod(Z, a), pull = g.rowwise().sum() + crossprod(lambda, Za);
  const Matrix v = product(R, crossprod(R, pull));
  const auto w = derivatives_.weight.segment(first, count);
  sums.along = product(zl, v);
  sums.moved = w.cwiseProduct(sums.along);
  sums.r.segment(first, count) = a - sums.moved - product(scores, 2.0 * sums.omega);
  Matrix wz = Z;
  for (Index i = 0; i < count; ++i) wz.row(i) *= 2.0 * w(i);
  sums.by_lambda += crossprod(wz, zi) + tcrossprod(Za - crossprod(Z, sums.moved), mode);
  sums.by_lambda -= tcrossprod(Zs, u);
  sums.by_lambda += tcrossprod(crossprod(Z, derivatives_.score.segment(first, count)), v);
}

// By the dispersion, through the rows at each node, and through mode and weights there.
void Glmm::add_dispersion(const Level& level, QuadratureSums& sums) const {
  for (Index i = 0; i < level.count; ++i) {
    const Index row = level.first + i;
    double part = -dispersion_part(likelihood_, rows_.y(row), eta_(row), dispersion_);
    for (Index j = 0; j < sums.omega.size(); ++j)
      if (sums.omega(j) > 1e-300)  // none out of the range of the link, but for rounding
        part += sums.omega(j) * dispersion_part(likelihood_, rows_.y(row),
                                                eta_(row) + sums.shift(i, j), dispersion_);
    sums.by_dispersion += sums.h(i) * sums.at_mode.weight(row) +
                          sums.along(i) * sums.at_mode.score(row) - 2.0 * rows_.weights(row) * part;
  }
}

}  // namespace ranef
