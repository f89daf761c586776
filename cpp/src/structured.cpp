#include "ranef/structured.hpp"

#include <cmath>

#include "ranef/dense.hpp"
#include "ranef/interrupt.hpp"

namespace ranef {
namespace {

const double kLog2Pi = std::log(2.0 * 3.14159265358979323846);

}  // namespace

Matrix Structured::lambda(Index term, const Eigen::Ref<const Vector>& psi) const {
  const Index k = static_cast<Index>(blocks_[static_cast<std::size_t>(term)].size());
  Matrix out = Matrix::Zero(k, k);
  for (std::size_t a = 0; a < elements_.size(); ++a)
    if (elements_[a][0] == term) out(elements_[a][1], elements_[a][2]) = psi(static_cast<Index>(a));
  return out;
}

void Structured::set_lambda(Index term, const Matrix& lambda, VectorRef psi) const {
  for (std::size_t a = 0; a < elements_.size(); ++a)
    if (elements_[a][0] == term)
      psi(static_cast<Index>(a)) = lambda(elements_[a][1], elements_[a][2]);
}

void Structured::set(const Eigen::Ref<const Vector>& psi) {
  for (std::size_t a = 0; a < elements_.size(); ++a) {
    const auto& [term, i, j] = elements_[a];
    lambda_[static_cast<std::size_t>(term)](i, j) = psi(static_cast<Index>(a));
  }
  delta_ = psi.segment(static_cast<Index>(elements_.size()), d_);
  correlation_.set(psi.tail(correlation_.n_parameters()));
}

// exp(l + D delta) of the rows of a pattern, into scale_.
void Structured::scales(const Pattern& pattern) {
  auto scale = scale_.head(pattern.n);
  scale = pattern.log_scale;
  if (d_ > 0) scale.noalias() += pattern.D * delta_;
  scale = scale.array().exp().matrix();
}

// V += sum_t Z_t lambda_t lambda_t' Z_t', lower triangle.
void Structured::add_random(const Pattern& pattern, MatrixRef V) {
  for (std::size_t t = 0; t < pattern.terms.size(); ++t) {
    const Term& term = pattern.terms[t];
    auto F = F_[t].topRows(pattern.n);
    F.noalias() = term.z * lambda_[t];
    for (Index j = 0; j < pattern.n; ++j)
      for (Index i = j; i < pattern.n; ++i)
        if (term.codes[static_cast<std::size_t>(i)] == term.codes[static_cast<std::size_t>(j)])
          V(i, j) += F.row(i).dot(F.row(j));
  }
}

// V += S C S, lower triangle; `scales` comes first.
void Structured::add_residual(const Pattern& pattern, MatrixRef V) const {
  const bool correlated = correlation_.kind() != Correlation::kIndependence;
  for (Index j = 0; j < pattern.n; ++j) {
    V(j, j) += scale_(j) * scale_(j);
    for (Index i = j + 1; correlated && i < pattern.n; ++i)
      if (pattern.cluster[static_cast<std::size_t>(i)] ==
          pattern.cluster[static_cast<std::size_t>(j)])
        V(i, j) += scale_(i) * scale_(j) * correlation_.at(pattern.place(i), pattern.place(j));
  }
}

bool Structured::evaluate(const Eigen::Ref<const Vector>& psi, bool reml) {
  set(psi);
  reml_ = reml;
  point_.logdet_V = 0.0;
  products_.setZero();
  for (Pattern& pattern : patterns_) {
    pause();
    pattern.factor.setZero();
    scales(pattern);
    add_random(pattern, pattern.factor);
    add_residual(pattern, pattern.factor);
    point_.objective = kInfeasible;
    if (!pattern.factor.diagonal().allFinite() || !cholesky_in_place(pattern.factor)) return false;
    point_.logdet_V += 2.0 * double(pattern.units) * pattern.factor.diagonal().array().log().sum();
    pattern.W = pattern.B;
    pattern.factor.triangularView<Eigen::Lower>().solveInPlace(pattern.W);
    const Eigen::Map<const Matrix> tall(pattern.W.data(), pattern.n * pattern.copies, p_ + 1);
    products_.selfadjointView<Eigen::Lower>().rankUpdate(tall.transpose());
  }
  return solve();
}

// beta, rss and the objective from [X y]'V^-1[X y] = L L', the last pivot of which squared is rss.
bool Structured::solve() {
  if (!products_.diagonal().allFinite() || !cholesky_in_place(products_)) return false;
  const auto L = products_.topLeftCorner(p_, p_);
  point_.root = L.triangularView<Eigen::Lower>().transpose();
  point_.beta = products_.row(p_).head(p_).transpose();
  L.triangularView<Eigen::Lower>().transpose().solveInPlace(point_.beta);
  point_.rss = products_(p_, p_) * products_(p_, p_);
  point_.logdet_XVX = 2.0 * L.diagonal().array().log().sum();
  const double nu = degrees(reml_);
  const double objective = point_.logdet_V + (reml_ ? point_.logdet_XVX : 0.0) +
                           nu * (1.0 + kLog2Pi + std::log(point_.rss / nu));
  if (!std::isfinite(objective)) return false;
  point_.objective = objective;
  return true;
}

// Derivative of the objective by V of a pattern, summed over its units, into G_:
//   G = m V^-1 - sum_i E_i E_i',  E_i = V^-1 [X_i, y_i] T,
//   T = [root^-1, -beta c; 0, c],  c^2 = nu / rss; the columns of root^-1 under REML only.
void Structured::derive(const Pattern& pattern) {
  pause();
  const Index n = pattern.n, width = T_.cols();
  auto inverse = inverse_.topLeftCorner(n, n);
  inverse = pattern.factor;
  inverse_from_cholesky(inverse, panel_);
  auto G = G_.topLeftCorner(n, n);
  G = double(pattern.units) * inverse;
  const Index wide = reml_ ? width : 1;
  const Eigen::Map<const Matrix> tall(pattern.W.data(), n * pattern.copies, width);
  Eigen::Map<Matrix> turned(E_.data(), n * pattern.copies, wide);
  turned.noalias() = tall * T_.rightCols(wide);
  Eigen::Map<Matrix> E(E_.data(), n, pattern.copies * wide);
  pattern.factor.triangularView<Eigen::Lower>().transpose().solveInPlace(E);
  G.selfadjointView<Eigen::Lower>().rankUpdate(E, -1.0);
  for (Index j = 0; j < n; ++j)
    for (Index i = j + 1; i < n; ++i) G(j, i) = G(i, j);
}

// Add what G_ of a pattern means for Sigma_t, delta and the correlation.
void Structured::collect(const Pattern& pattern) {
  for (std::size_t t = 0; t < pattern.terms.size(); ++t) {
    const Term& term = pattern.terms[t];
    for (Index j = 0; j < pattern.n; ++j)
      for (Index i = 0; i < pattern.n; ++i)
        if (term.codes[static_cast<std::size_t>(i)] == term.codes[static_cast<std::size_t>(j)])
          S_[t].noalias() += (G_(i, j) * term.z.row(i).transpose()) * term.z.row(j);
  }
  scales(pattern);
  const bool correlated = correlation_.kind() != Correlation::kIndependence;
  for (Index j = 0; j < pattern.n; ++j) {
    const double own = 2.0 * G_(j, j) * scale_(j) * scale_(j);
    if (d_ > 0) delta_slopes_ += own * pattern.D.row(j).transpose();
    for (Index i = j + 1; correlated && i < pattern.n; ++i) {
      if (pattern.cluster[static_cast<std::size_t>(i)] !=
          pattern.cluster[static_cast<std::size_t>(j)])
        continue;
      const double both = 2.0 * G_(i, j) * scale_(i) * scale_(j);
      correlation_.collect(pattern.place(i), pattern.place(j), both);
      if (d_ == 0) continue;
      const double element = both * correlation_.at(pattern.place(i), pattern.place(j));
      delta_slopes_ += element * (pattern.D.row(i) + pattern.D.row(j)).transpose();
    }
  }
}

void Structured::gradient(VectorRef g) {
  T_.setZero();
  T_.topLeftCorner(p_, p_).setIdentity();
  auto inverse_root = T_.topLeftCorner(p_, p_);
  point_.root.triangularView<Eigen::Upper>().solveInPlace(inverse_root);
  const double c = std::sqrt(degrees(reml_) / point_.rss);
  T_.col(p_).head(p_) = -c * point_.beta;
  T_(p_, p_) = c;
  for (Matrix& S : S_) S.setZero();
  delta_slopes_.setZero();
  correlation_.clear();
  for (const Pattern& pattern : patterns_) {
    derive(pattern);
    collect(pattern);
  }
  for (std::size_t a = 0; a < elements_.size(); ++a) {
    const auto& [term, i, j] = elements_[a];
    const std::size_t t = static_cast<std::size_t>(term);
    g(static_cast<Index>(a)) = 2.0 * S_[t].row(i).dot(lambda_[t].col(j));
  }
  g.segment(static_cast<Index>(elements_.size()), d_) = delta_slopes_;
  correlation_.gradient(g.tail(correlation_.n_parameters()));
}

Vector Structured::natural_correlation(const Eigen::Ref<const Vector>& psi) {
  set(psi);
  return correlation_.natural();
}

void Structured::covariances(Index pattern, const Eigen::Ref<const Vector>& psi, Matrix& V,
                             Matrix& SCS) {
  set(psi);
  const Pattern& one = patterns_[static_cast<std::size_t>(pattern)];
  scales(one);
  SCS = Matrix::Zero(one.n, one.n);
  add_residual(one, SCS);
  V = SCS;
  add_random(one, V);
  V = Matrix(V.selfadjointView<Eigen::Lower>());
  SCS = Matrix(SCS.selfadjointView<Eigen::Lower>());
}

}  // namespace ranef
