#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

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

// The rows of a design as texts of bytes, to find those that are alike.
class RowKeys {
 public:
  RowKeys(const Input& design, const Vector& offset) : design_(design), offset_(offset) {}

  std::uint64_t hash(Index i) const {
    std::uint64_t out = bits(offset_(i));
    for (const double* column : design_.columns) out = mix(out, bits(column[i]));
    for (const TermInput& term : design_.terms)
      out = mix(out, static_cast<std::uint64_t>(term.codes[i]));
    return mix(out, 0);
  }

  bool alike(Index i, Index j) const {
    if (offset_(i) != offset_(j)) return false;
    for (const double* column : design_.columns)
      if (column[i] != column[j]) return false;
    for (const TermInput& term : design_.terms)
      if (term.codes[i] != term.codes[j]) return false;
    return true;
  }

 private:
  const Input& design_;
  const Vector& offset_;

  static std::uint64_t bits(double value) {
    value += 0.0;  // zeros have one sign
    std::uint64_t out;
    std::memcpy(&out, &value, sizeof out);
    return out;
  }

  // The finaliser of splitmix64.
  static std::uint64_t mix(std::uint64_t state, std::uint64_t value) {
    state = (state ^ value) + 0x9e3779b97f4a7c15ULL;
    state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9ULL;
    state = (state ^ (state >> 27)) * 0x94d049bb133111ebULL;
    return state ^ (state >> 31);
  }
};

// The first row like each row, in the order of their appearance; nothing where more than half are
// unlike all others before them.
std::vector<std::int32_t> find_alike(const Input& design, const Vector& offset,
                                     std::vector<Index>& first) {
  const RowKeys keys(design, offset);
  std::size_t places = 16;
  while (places < 2 * static_cast<std::size_t>(design.n)) places *= 2;
  std::vector<std::int32_t> table(places, -1), cell(static_cast<std::size_t>(design.n));
  for (Index i = 0; i < design.n; ++i) {
    std::size_t at = keys.hash(i) & (places - 1);
    while (table[at] >= 0 && !keys.alike(first[static_cast<std::size_t>(table[at])], i))
      at = (at + 1) & (places - 1);
    if (table[at] < 0) {
      if (2 * first.size() >= static_cast<std::size_t>(design.n)) return {};
      table[at] = static_cast<std::int32_t>(first.size());
      first.push_back(i);
    }
    cell[static_cast<std::size_t>(i)] = table[at];
  }
  return cell;
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
  rows.by_dispersion(j) = found.by_dispersion;
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
      by_dispersion(objective),
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
  add_up_rows();
}

// Keep one of the rows that are alike, with the sum of their weights.
void GlmmBatch::add_up_rows() {
  std::vector<Index> first;
  cell_ = find_alike(design_, offset_, first);
  // No more rows than columns, and the columns would be taken for the response.
  if (first.size() <= design_.fixed.size() + 1) cell_.clear();
  if (cell_.empty()) return;
  const Index n = static_cast<Index>(first.size());
  for (std::size_t j = 0; j < columns_.size(); ++j) {
    columns_[j] = Vector(columns_[j](first));
    design_.columns[j] = columns_[j].data();
  }
  for (std::size_t t = 0; t < codes_.size(); ++t) {
    std::vector<std::int32_t> kept;
    kept.reserve(first.size());
    for (const Index i : first) kept.push_back(codes_[t][static_cast<std::size_t>(i)]);
    codes_[t] = std::move(kept);
    design_.terms[t].codes = codes_[t].data();
  }
  design_.n = n;
  offset_ = Vector(offset_(first));
  each_weight_ = std::exchange(weights_, Vector::Zero(n));
  for (std::size_t i = 0; i < cell_.size(); ++i)
    weights_(cell_[i]) += each_weight_(static_cast<Index>(i));
}

std::unique_ptr<Glmm> GlmmBatch::worker() const {
  ResponseRows rows{Vector::Constant(design_.n, 0.5), weights_};
  rows.each_weight = each_weight_;
  rows.each_y = Vector::Constant(each_weight_.size(), 0.5);
  return std::make_unique<Glmm>(design_, likelihood_, std::move(rows), offset_);
}

void GlmmBatch::fit_one(Glmm& model, const Vector& y, const GlmmSearchSettings& settings,
                        const double* dispersion, GlmmBatchRows& rows, Index j) const {
  if (cell_.empty()) {
    model.set_response(y);
  } else {
    Vector mean = Vector::Zero(design_.n);
    for (std::size_t i = 0; i < cell_.size(); ++i)
      mean(cell_[i]) += each_weight_(static_cast<Index>(i)) * y(static_cast<Index>(i));
    model.set_response(mean.cwiseQuotient(weights_), y);
  }
  const double start = dispersion ? *dispersion : starting_dispersion(likelihood_, y);
  record(model, design_, search(model, std::log(start), settings, dispersion != nullptr), rows, j);
}

GlmmBatchRows GlmmBatch::fit(const ConstMatrixRef& Y, const GlmmSearchSettings& settings,
                             Team& team, const Vector& dispersions) {
  const Index n = cell_.empty() ? design_.n : static_cast<Index>(cell_.size());
  if (Y.rows() != n) throw std::invalid_argument("Y: not one row a row of the design");
  if (dispersions.size() != 0 && (dispersions.size() != Y.cols() || !(dispersions.minCoeff() > 0)))
    throw std::invalid_argument("dispersions: not one above zero for each response");
  const Vector& weights = cell_.empty() ? weights_ : each_weight_;
  GlmmBatchRows rows(static_cast<Index>(design_.fixed.size()), n_factors(design_), Y.cols());
  if (workers_.size() < static_cast<std::size_t>(team.size()))
    workers_.resize(static_cast<std::size_t>(team.size()));
  const bool flat = offset_.isZero();
  split(team, Y.cols(), [&](int thread, Index begin, Index end) {
    std::unique_ptr<Glmm>& own = workers_[static_cast<std::size_t>(thread)];
    if (!own) own = worker();
    for (Index j = begin; j < end; ++j) {
      const Vector y = Y.col(j);
      if (!is_allowed(likelihood_, y, weights)) {
        rows.outcome(j) = static_cast<int>(GlmmStatus::kNotAllowed);
      } else if (y.maxCoeff() == y.minCoeff() &&
                 (flat || y(0) == 0.0 || likelihood_.distribution == Distribution::binomial)) {
        rows.outcome(j) = static_cast<int>(GlmmStatus::kConstant);
      } else {
        fit_one(*own, y, settings, dispersions.size() == 0 ? nullptr : &dispersions(j), rows, j);
      }
    }
  });
  return rows;
}

}  // namespace ranef
