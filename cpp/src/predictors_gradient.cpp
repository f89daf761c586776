// Derivatives of Laplace's approximation for several predictors.
#include <cmath>
#include <stdexcept>

#include "ranef/laplace.hpp"
#include "ranef/predictors.hpp"

namespace ranef {
namespace {

int pair_of(int a, int b) { return a <= b ? b * (b + 1) / 2 + a : a * (a + 1) / 2 + b; }

}  // namespace

// sum_m X_m'r_m, r (n, N).
Vector Predictors::by_beta(const Matrix& r) const {
  Vector out = Vector::Zero(n_beta_);
  for (std::size_t a = 0; a < inputs_.size(); ++a) {
    const Vector own = inputs_[a].X.transpose() * r.col(static_cast<Index>(a));
    for (Index j = 0; j < own.size(); ++j) out(inputs_[a].index[j]) += own(j);
  }
  return out;
}

Vector Predictors::gradient() {
  if (!known_ || !has_gradient_) gradient_ = gradient_anew();
  has_gradient_ = true;
  return gradient_;
}

// Where nothing varies the criterion is even in every factor.
Vector Predictors::gradient_anew() {
  Matrix score, second, slope;
  if (!has_terms() || nothing_varies()) {
    rows_->slopes(eta_, {}, Matrix(), score, second, slope);
    by_lambda_.clear();
    for (const Matrix& block : lambda_)
      by_lambda_.push_back(Matrix::Zero(block.rows(), block.cols()));
    Vector out = Vector::Zero(theta_.size() + n_beta_);
    out.tail(n_beta_) = by_beta(-2.0 * score);
    return out;
  }
  InverseBlocks blocks;
  invert(blocks);
  std::vector<Matrix> by_lambda = trace_scores(products_->products(), lambda_, blocks);
  to_random_effects(lambda_, blocks);
  const Matrix h = products_->quadratic_pairs(blocks.own, blocks.pairs);
  rows_->slopes(eta_, active_, h, score, second, slope);
  const Index r = static_cast<Index>(active_.size());
  Matrix own_slope(slope.rows(), r), own_score(slope.rows(), r), left(slope.rows(), r),
      own_r(slope.rows(), r);
  for (Index k = 0; k < r; ++k) {
    own_slope.col(k) = slope.col(active_[k]);
    own_score.col(k) = score.col(active_[k]);
  }
  const Matrix change = products_->multiply_own(pls_->solve(products_->transposed_own(own_slope)));
  Matrix rest = slope;  // a + sum_k c_k d2l
  for (Index m = 0; m < rest.cols(); ++m)
    for (Index k = 0; k < r; ++k)
      rest.col(m).array() +=
          change.col(k).array() * second.col(pair_of(active_[k], static_cast<int>(m))).array();
  const Matrix residual = rest - 2.0 * score;
  for (Index k = 0; k < r; ++k) {
    left.col(k) = rest.col(active_[k]);
    own_r.col(k) = residual.col(active_[k]);
  }
  const std::vector<RowMatrix> Zr = products_->transposed_own(own_r);
  const std::vector<RowMatrix> Zs = products_->transposed_own(own_score);
  const std::vector<RowMatrix> v = times_lambda(lambda_, products_->transposed_own(left), true);
  for (std::size_t t = 0; t < by_lambda.size(); ++t) {
    const Index k = pls_->k(t), levels = pls_->n_levels(t);
    const auto columns = [&](const RowMatrix& rows) {
      return Eigen::Map<const Matrix>(rows.data(), k, levels);
    };
    by_lambda[t] *= 2.0;
    by_lambda[t].noalias() += columns(Zr[t]) * columns(u_[t]).transpose();
    by_lambda[t].noalias() += columns(Zs[t]) * columns(v[t]).transpose();
  }
  const Vector theta = by_parameters(*pls_, theta_, by_lambda);
  Vector out(theta.size() + n_beta_);
  out << theta, by_beta(residual);
  by_lambda_ = std::move(by_lambda);
  return out;
}

std::vector<Matrix> Predictors::gradient_by_factors() const {
  std::vector<Matrix> out;
  for (std::size_t kernel : order_) out.push_back(by_lambda_.at(kernel));
  return out;
}

// Z_t'(-d2l) X by term, all coefficients: (l_t * k_t, P).
std::vector<RowMatrix> Predictors::coupled(const Matrix& second) const {
  std::vector<RowMatrix> out;
  for (std::size_t t = 0; t < owner_.size(); ++t) {
    RowMatrix rows = RowMatrix::Zero(second.rows(), n_beta_);
    for (std::size_t a = 0; a < inputs_.size(); ++a) {
      const auto w = second.col(pair_of(active_[owner_[t]], static_cast<int>(a)));
      for (Index j = 0; j < inputs_[a].X.cols(); ++j)
        rows.col(inputs_[a].index[j]) -= w.cwiseProduct(inputs_[a].X.col(j));
    }
    out.push_back(products_->transposed_term(t, rows));
  }
  return out;
}

Matrix Predictors::information_beta() {
  Matrix second;
  rows_->seconds(eta_, second);
  Matrix out = Matrix::Zero(n_beta_, n_beta_);
  for (std::size_t a = 0; a < inputs_.size(); ++a)
    for (std::size_t b = 0; b < inputs_.size(); ++b) {
      const auto w = second.col(pair_of(static_cast<int>(a), static_cast<int>(b)));
      const Matrix own = inputs_[a].X.transpose() * w.asDiagonal() * inputs_[b].X;
      for (Index j = 0; j < own.cols(); ++j)
        for (Index i = 0; i < own.rows(); ++i)
          out(inputs_[a].index[i], inputs_[b].index[j]) -= own(i, j);
    }
  if (!has_terms() || nothing_varies()) return out;
  prepare(false);
  const std::vector<RowMatrix> ZWX = coupled(second), solved = pls_->solve(ZWX);
  for (std::size_t t = 0; t < ZWX.size(); ++t) out.noalias() -= ZWX[t].transpose() * solved[t];
  return out;
}

Vector Predictors::prediction_variances(const Matrix& X, const Matrix& cov_beta,
                                        const std::vector<NewTerm>& terms) {
  if (X.cols() != n_beta_ || cov_beta.rows() != n_beta_ || cov_beta.cols() != n_beta_)
    throw std::invalid_argument("X, cov_beta: not one column for each coefficient");
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(cov_beta);
  const Vector scale = eigen.eigenvalues().cwiseMax(0.0).cwiseSqrt();
  const Matrix root = eigen.eigenvectors() * scale.asDiagonal();
  if (!has_terms()) return (X * root).rowwise().squaredNorm();
  Matrix second;
  rows_->seconds(eta_, second);
  prepare(false);
  const std::vector<RowMatrix> ZWX = coupled(second);
  std::vector<Matrix> same;
  for (const Matrix& block : lambda_) same.push_back(Matrix::Identity(block.rows(), block.cols()));
  return error_variances(*pls_, {same, place_, lambda_, root}, X, terms, ZWX);
}

}  // namespace ranef
