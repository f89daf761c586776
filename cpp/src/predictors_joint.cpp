// The likelihood of several predictors given the random effects.
#include <numeric>
#include <stdexcept>

#include "ranef/predictors.hpp"

namespace ranef {

Matrix Predictors::eta_at(const Vector& beta, const std::vector<Matrix>& effects) const {
  if (effects.size() != place_.size())
    throw std::invalid_argument("effects: not a matrix for each term");
  Matrix eta = fixed_part(beta);
  if (!has_terms()) return eta;
  std::vector<RowMatrix> b;
  for (std::size_t t = 0; t < place_.size(); ++t) {
    const Matrix& own = effects[place_[t]];
    if (own.rows() != pls_->k(t) || own.cols() != pls_->n_levels(t))
      throw std::invalid_argument("effects: a matrix has the wrong shape");
    b.push_back(Eigen::Map<const RowMatrix>(own.data(), own.size(), 1));
  }
  const Matrix random = products_->multiply_own(b);
  for (std::size_t k = 0; k < active_.size(); ++k)
    eta.col(active_[k]) += random.col(static_cast<Index>(k));
  return eta;
}

JointPoint Predictors::joint(const Vector& beta, const std::vector<Matrix>& effects) const {
  const Matrix eta = eta_at(beta, effects);
  JointPoint out;
  std::vector<std::int32_t> every(static_cast<std::size_t>(eta.rows()));
  std::iota(every.begin(), every.end(), 0);
  Matrix score;
  out.log_likelihood = rows_->at_rows(every.data(), eta, score);
  out.by_beta = by_beta(score);
  if (!has_terms()) return out;
  const Index r = static_cast<Index>(active_.size());
  Matrix own(eta.rows(), r);
  for (Index k = 0; k < r; ++k) own.col(k) = score.col(active_[k]);
  const std::vector<RowMatrix> sums = products_->transposed_own(own);
  for (std::size_t kernel : order_)
    out.by_effects.push_back(
        Eigen::Map<const Matrix>(sums[kernel].data(), pls_->k(kernel), pls_->n_levels(kernel)));
  return out;
}

Vector Predictors::row_densities(const Vector& beta, const std::vector<Matrix>& effects) const {
  const Matrix eta = eta_at(beta, effects);
  Vector out(eta.rows());
  Matrix score;
  for (Index i = 0; i < eta.rows(); ++i) {
    const auto row = static_cast<std::int32_t>(i);
    out(i) = rows_->at_rows(&row, eta.row(i), score);
  }
  return out;
}

}  // namespace ranef
