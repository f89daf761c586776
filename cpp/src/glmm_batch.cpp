#include <cmath>
#include <limits>

#include "ranef/batch.hpp"
#include "ranef/glmm_search.hpp"

namespace ranef {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Whether a response is one of the distribution's: counts, shares, numbers above zero.
bool is_allowed(const Likelihood& likelihood, const Eigen::Ref<const Vector>& y,
                const Vector& trials) {
  const auto whole = [](double v) { return std::abs(v - std::round(v)) < 1e-6 * std::max(1.0, v); };
  for (Index i = 0; i < y.size(); ++i) {
    if (!std::isfinite(y(i)) || y(i) < 0.0) return false;
    if (likelihood.distribution == Distribution::binomial) {
      if (y(i) > 1.0 || !whole(y(i) * trials(i))) return false;
    } else if (likelihood.distribution == Distribution::gamma) {
      if (!(y(i) > 0.0)) return false;
    } else if (!whole(y(i))) {
      return false;
    }
  }
  return true;
}

void record(const Glmm& model, const Input& design, const GlmmOptimum& found, GlmmBatchRows& rows,
            Index j) {
  rows.outcome(j) = static_cast<int>(found.status);
  rows.n_objective(j) = found.n_values;
  rows.n_gradient(j) = found.n_gradients;
  if (found.status == GlmmStatus::kFailed) return;
  rows.separated(j) = found.is_separated;
  rows.objective(j) = found.value;
  rows.dispersion(j) = found.dispersion;
  rows.dispersion_error(j) = found.dispersion_error;
  rows.smallest_sd(j) = found.smallest_sd;
  rows.decrement(j) = found.decrement;
  const std::vector<int>& kept = model.basis().kept;
  const Index p = static_cast<Index>(kept.size()), all = rows.beta.rows();
  const Matrix T = model.basis().T.topLeftCorner(p, p);
  rows.beta(kept, j) = T * found.beta;
  const Matrix cov = T * found.cov * T.transpose();
  for (Index a = 0; a < p; ++a)
    for (Index b = 0; b < p; ++b) rows.cov(kept[a] * all + kept[b], j) = cov(a, b);
  std::vector<double> factors;
  const std::vector<Matrix> lambda = model.lambda(found.theta, false);
  for (std::size_t t = 0; t < lambda.size(); ++t)
    append_factors(design.terms[t], lambda[t],
                   has_structure(design.terms[t]) ? model.natural_parameters(t, found.theta)
                                                  : std::vector<Vector>(),
                   factors);
  rows.factors.col(j) =
      Eigen::Map<const Vector>(factors.data(), static_cast<Index>(factors.size()));
}

}  // namespace

GlmmBatchRows::GlmmBatchRows(Index p, Index n_factors, Index count)
    : outcome(Eigen::VectorXi::Zero(count)),
      n_objective(outcome),
      n_gradient(outcome),
      separated(outcome),
      objective(Vector::Constant(count, kNaN)),
      dispersion(objective),
      dispersion_error(objective),
      smallest_sd(objective),
      decrement(objective),
      beta(Matrix::Constant(p, count, kNaN)),
      cov(Matrix::Constant(p * p, count, kNaN)),
      factors(Matrix::Constant(n_factors, count, kNaN)) {}

GlmmBatch::GlmmBatch(const Input& design, const Likelihood& likelihood, Vector weights,
                     Vector offset)
    : likelihood_(likelihood),
      weights_(std::move(weights)),
      offset_(std::move(offset)),
      design_(design) {
  if (likelihood.link == Link::inverse)
    throw std::invalid_argument("link: a batch needs one whose unit is not the response's");
  columns_.reserve(design.columns.size());
  for (const double*& column : design_.columns) {
    columns_.emplace_back(Eigen::Map<const Vector>(column, design.n));
    column = columns_.back().data();
  }
  codes_.reserve(design.terms.size());
  for (TermInput& term : design_.terms) {
    codes_.emplace_back(term.codes, term.codes + design.n);
    term.codes = codes_.back().data();
  }
}

GlmmBatchRows GlmmBatch::fit(const ConstMatrixRef& Y, const GlmmSearchSettings& settings,
                             Team& team) {
  if (Y.rows() != design_.n) throw std::invalid_argument("Y: not one row a row of the design");
  GlmmBatchRows rows(static_cast<Index>(design_.fixed.size()), n_factors(design_), Y.cols());
  if (workers_.size() < static_cast<std::size_t>(team.size()))
    workers_.resize(static_cast<std::size_t>(team.size()));
  const bool flat = offset_.isZero();
  split(team, Y.cols(), [&](int thread, Index begin, Index end) {
    std::unique_ptr<Glmm>& own = workers_[static_cast<std::size_t>(thread)];
    if (!own)
      own = std::make_unique<Glmm>(
          design_, likelihood_, ResponseRows{Vector::Constant(design_.n, 0.5), weights_}, offset_);
    for (Index j = begin; j < end; ++j) {
      const Vector y = Y.col(j);
      if (!is_allowed(likelihood_, y, weights_)) {
        rows.outcome(j) = static_cast<int>(GlmmStatus::kNotAllowed);
      } else if (y.maxCoeff() == y.minCoeff() &&
                 (flat || y(0) == 0.0 || likelihood_.distribution == Distribution::binomial)) {
        rows.outcome(j) = static_cast<int>(GlmmStatus::kConstant);
      } else {
        own->set_response(y);
        const double start = std::log(starting_dispersion(likelihood_, y));
        record(*own, design_, search(*own, start, settings), rows, j);
      }
    }
  });
  return rows;
}

}  // namespace ranef
