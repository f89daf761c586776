// Adaptive Gauss-Hermite quadrature for several predictors, one of which has a term.
#include <cmath>
#include <stdexcept>

#include "ranef/dense.hpp"
#include "ranef/laplace.hpp"
#include "ranef/predictors.hpp"

namespace ranef {
namespace {

constexpr double kRootTwo = 1.4142135623730950488;

int pair_of(int a, int b) { return a <= b ? b * (b + 1) / 2 + a : a * (a + 1) / 2 + b; }

}  // namespace

// One level: its rows, its columns and the root R of M^-1 = R R'; the last four at the mode.
struct Predictors::Level {
  const std::int32_t* rows;
  Matrix z;              // (count, k)
  Matrix eta;            // (count, N)
  Vector mode;           // (k,)
  Matrix R;              // (k, k) upper triangular
  Vector score, weight;  // (count,) of the predictor that has the term
  Matrix slope, cross;   // (count, N) of its weight, and second derivatives with it
  double at_mode;        // log-likelihood less half of |u|^2
};

struct Predictors::Sums {
  Matrix r;          // (n, N)
  Matrix by_lambda;  // (k, k)
  double log_ratio = 0.0;
};

Predictors::Level Predictors::at_level(const LevelOrder& order, Index l, const Matrix& second,
                                       const Matrix& slope) const {
  const TermProducts& A = products_->products().terms[0];
  const Index k = A.k, count = order.start[l + 1] - order.start[l], N = eta_.cols();
  const Eigen::Map<const Matrix> own(A.own.data() + l * k * k, k, k);
  Matrix M = product(crossprod(lambda_[0], own), lambda_[0]);
  M.diagonal().array() += 1.0;
  Level out;
  out.rows = order.row.data() + order.start[l];
  out.z.resize(count, k);
  for (Matrix* values : {&out.eta, &out.slope, &out.cross}) values->resize(count, N);
  for (Vector* values : {&out.score, &out.weight}) values->resize(count);
  for (Index i = 0; i < count; ++i) {
    const Index row = out.rows[i];
    out.z.row(i) = products_->z(0).row(row);
    out.eta.row(i) = eta_.row(row);
    out.slope.row(i) = slope.row(row);
    for (int m = 0; m < N; ++m) out.cross(i, m) = second(row, pair_of(active_[0], m));
    out.score(i) = score_(row, 0);
    out.weight(i) = weight_(row, 0);
  }
  out.mode = Eigen::Map<const Vector>(u_[0].data() + l * k, k);
  out.R = Matrix::Identity(k, k);
  M.llt().matrixU().solveInPlace(out.R);
  Matrix score;
  out.at_mode = rows_->at_rows(out.rows, out.eta, score) - 0.5 * out.mode.squaredNorm();
  return out;
}

// As Glmm::quadrature, whose comment has the derivation: here every predictor moves the mode.
GlmmQuadrature Predictors::quadrature(const HermiteRule& rule) {
  if (!has_terms() || pls_->n_terms() != 1)
    throw std::invalid_argument("quadrature: not of one term");
  prepare(false);
  has_gradient_ = false;
  const Index k = lambda_[0].cols();
  const QuadratureGrid grid = product_rule(rule, k);
  const TermProducts& A = products_->products().terms[0];
  const LevelOrder order =
      order_by_level({products_->codes(0).data(), A.n_levels, {}, {}}, eta_.rows());
  Matrix score, second, slope;
  rows_->slopes(eta_, active_, Matrix::Ones(eta_.rows(), 1), score, second, slope);
  Sums sums;
  sums.r.resize(eta_.rows(), eta_.cols());
  sums.by_lambda = Matrix::Zero(k, k);
  for (Index l = 0; l < A.n_levels; ++l) add_level(at_level(order, l, second, slope), grid, sums);
  by_lambda_ = {sums.by_lambda};
  const Vector theta = by_parameters(*pls_, theta_, by_lambda_);
  GlmmQuadrature out{-2.0 * sums.log_ratio, Vector(theta.size() + n_beta_)};
  out.gradient << theta, by_beta(sums.r);
  return out;
}

void Predictors::add_level(const Level& level, const QuadratureGrid& grid, Sums& sums) const {
  const Matrix& lambda = lambda_[0];
  const int own = active_[0];
  const Index count = level.eta.rows(), points = grid.log_weight.size();
  const Matrix change = kRootTwo * product(level.R, grid.x);  // (k, points)
  const Matrix u = change.colwise() + level.mode;
  const Matrix shift = product(level.z, product(lambda, change));  // (count, points)
  Vector omega = grid.log_weight - 0.5 * u.colwise().squaredNorm().transpose();
  std::vector<Matrix> scores(points);
  Matrix own_score(count, points), eta = level.eta;
  for (Index j = 0; j < points; ++j) {
    eta.col(own) = level.eta.col(own) + shift.col(j);
    const double value = rows_->at_rows(level.rows, eta, scores[j]);
    omega(j) += std::isfinite(value) ? value : -1e300;
    own_score.col(j) = scores[j].col(own);
    if (!std::isfinite(value)) scores[j].setZero(), own_score.col(j).setZero();
  }
  const double largest = omega.maxCoeff();
  omega = (omega.array() - largest).exp();
  sums.log_ratio += largest + std::log(omega.sum()) - level.at_mode;
  omega /= omega.sum();

  const Matrix& z = level.z;
  const Matrix Zs = crossprod(z, own_score);  // (k, points)
  const Matrix g = 2.0 * (u - crossprod(lambda, Zs)) * omega.asDiagonal();
  Matrix middle = -kRootTwo * symmetric_half(product(tcrossprod(grid.x, g), level.R));
  middle.diagonal().array() += 1.0;
  const Matrix inverse = tcrossprod(product(level.R, middle), level.R), zl = product(z, lambda);
  const Vector h = product(zl, inverse).cwiseProduct(zl).rowwise().sum();
  const Vector a = h.cwiseProduct(level.slope.col(own)), Za = crossprod(z, a);
  const Vector pull = g.rowwise().sum() + crossprod(lambda, Za);
  const Vector v = product(level.R, crossprod(level.R, pull));
  const Vector along = product(zl, v), moved = level.weight.cwiseProduct(along);
  Matrix of_rows = h.asDiagonal() * level.slope;
  of_rows += along.asDiagonal() * level.cross;
  for (Index j = 0; j < points; ++j) of_rows -= 2.0 * omega(j) * scores[j];
  for (Index i = 0; i < count; ++i) sums.r.row(level.rows[i]) = of_rows.row(i);
  const Matrix weighted = level.weight.asDiagonal() * zl, drawn = Zs * omega.asDiagonal();
  sums.by_lambda += 2.0 * product(crossprod(z, weighted), inverse);
  sums.by_lambda += tcrossprod(Za - crossprod(z, moved), level.mode);
  sums.by_lambda -= 2.0 * tcrossprod(drawn, u);
  sums.by_lambda += tcrossprod(crossprod(z, level.score), v);
}

}  // namespace ranef
