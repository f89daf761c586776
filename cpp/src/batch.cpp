#include "ranef/batch.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "ranef/dense.hpp"
#include "ranef/errors.hpp"

namespace ranef {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// A response of which a smaller share is left is reproduced by X up to rounding.
constexpr double kExplainedShare = 1e-11;
// Squares of a response that add up to less have lost digits, or are gone.
constexpr double kLeastSquare = 1e-280;
// Eigenvalues of the Hessian below this share of the largest belong to flat directions.
constexpr double kFlatShare = 1e-8;

// Columns of each block of a term.
std::vector<std::vector<int>> columns_of(const TermInput& term) {
  std::vector<std::vector<int>> out;
  for (std::size_t j = 0; j < term.blocks.size(); ++j) {
    const std::size_t block = static_cast<std::size_t>(term.blocks[j]);
    if (block >= out.size()) out.resize(block + 1);
    out[block].push_back(static_cast<int>(j));
  }
  return out;
}

// How many numbers describe the covariance of a term; see BatchRows::factors.
Index n_factors_of(const TermInput& term) {
  const auto triangle = [](std::size_t k) { return static_cast<Index>(k * (k + 1) / 2); };
  if (!has_structure(term)) return triangle(term.columns.size());
  Index count = 0;
  const std::vector<std::vector<int>> blocks = columns_of(term);
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const Structure* structure = term.structure(static_cast<int>(b));
    count += structure ? structure->n_parameters() : triangle(blocks[b].size());
  }
  return count;
}

// Append the lower triangle of a block by columns.
void append_triangle(const Matrix& block, std::vector<double>& out) {
  for (Index c = 0; c < block.cols(); ++c)
    for (Index r = c; r < block.rows(); ++r) out.push_back(block(r, c));
}

BatchRows make_rows(const Input& input, const BatchSettings& settings, Index count) {
  const Index p = static_cast<Index>(input.fixed.size());
  if (settings.contrasts.rows() > 0 && settings.contrasts.cols() != p)
    throw std::invalid_argument("contrasts: not one column a coefficient");
  return BatchRows(p, n_factors(input), settings.satterthwaite ? settings.contrasts.rows() : 0,
                   count);
}

// Whether the counts allow a fit at all.
Outcome outcome_of_counts(const Input& input) {
  if (static_cast<Index>(input.fixed.size()) >= input.n) return Outcome::kTooFewRows;
  for (const TermInput& term : input.terms) {
    if (has_structure(term)) continue;  // a structure may tell the effects of one level apart
    if (term.n_levels < 2) return Outcome::kTooFewLevels;
    if (term.n_levels * static_cast<Index>(term.columns.size()) >= input.n)
      return Outcome::kTooFewRows;
  }
  return Outcome::kConverged;
}

void set_outcome(BatchRows& rows, Index j, Outcome outcome) {
  rows.outcome(j) = static_cast<int>(outcome);
}

// R with the rows of aliased columns NaN: (p, p), the columns beyond the rank zero.
Matrix full_root(const Lmm& lmm, const Matrix& root, Index p) {
  const std::vector<int>& kept = lmm.basis().kept;
  Matrix out = Matrix::Constant(p, p, kNaN);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    out.row(kept[i]).setZero();
    out.row(kept[i]).head(root.cols()) = root.row(static_cast<Index>(i));
  }
  return out;
}

void record_df(Lmm& lmm, const Estimate& e, const BatchSettings& settings, BatchRows& rows,
               Index j) {
  const std::vector<int>& kept = lmm.basis().kept;
  const Matrix of_kept = settings.contrasts(Eigen::all, kept);
  const Vector df =
      satterthwaite(lmm, e, settings.reml, crossprod(e.cov_beta_root, of_kept.transpose()));
  const double dropped = 1e-12;
  for (Index h = 0; h < df.size(); ++h) {
    const double lost = settings.contrasts.row(h).squaredNorm() - of_kept.row(h).squaredNorm();
    rows.df(h, j) = lost > dropped ? kNaN : df(h);
  }
}

// Describe the covariances of a fit as BatchRows::factors has them.
void record_factors(const Lmm& lmm, const Estimate& e, const Input& input, BatchRows& rows,
                    Index j) {
  std::vector<double> values;
  for (std::size_t t = 0; t < e.lambda.size(); ++t)
    append_factors(input.terms[t], e.lambda[t],
                   has_structure(input.terms[t]) ? lmm.natural_parameters(t, e.lambda_standard)
                                                 : std::vector<Vector>(),
                   values);
  rows.factors.col(j) = Eigen::Map<const Vector>(values.data(), static_cast<Index>(values.size()));
}

void record(Lmm& lmm, const Estimate& e, const Input& input, const BatchSettings& settings,
            BatchRows& rows, Index j) {
  set_outcome(rows, j, static_cast<Outcome>(static_cast<int>(e.status)));
  rows.n_objective(j) = e.n_objective;
  rows.n_gradient(j) = e.n_gradient;
  if (e.status == Status::kPerfectFit) return;
  rows.objective(j) = e.objective;
  rows.sigma(j) = e.sigma;
  rows.smallest_sd(j) = e.smallest_sd;
  rows.decrement(j) = e.decrement;
  rows.cone(j) = e.cone;
  const Index p = rows.beta.rows();
  rows.beta(lmm.basis().kept, j) = e.beta;
  rows.cov_root.col(j) = full_root(lmm, e.cov_beta_root, p).reshaped();
  record_factors(lmm, e, input, rows, j);
  if (rows.df.rows() > 0) record_df(lmm, e, settings, rows, j);
}

// One search, whatever comes of it.
void fit_one(Lmm& lmm, const Input& input, const BatchSettings& settings, BatchRows& rows,
             Index j) {
  try {
    record(lmm, lmm.fit(settings.reml, settings.search, {}), input, settings, rows, j);
  } catch (const FitFailure&) {
    set_outcome(rows, j, Outcome::kFailed);
  }
}

// Whether sums of squares of a response can be formed; `square` is one of them.
bool is_measurable(const Eigen::Ref<const Vector>& y, double square) {
  return std::isfinite(square) && (square > kLeastSquare || !(y.array() != 0.0).any());
}

// A whole fit from rows of its own.
void fit_rows(const Input& input, const BatchSettings& settings, BatchRows& rows, Index j) {
  rows.n_obs(j) = static_cast<int>(input.n);
  const Outcome outcome = outcome_of_counts(input);
  set_outcome(rows, j, outcome);
  if (outcome != Outcome::kConverged) return;
  const Eigen::Map<const Vector> y(input.y, input.n);
  if (!is_measurable(y, y.squaredNorm())) return set_outcome(rows, j, Outcome::kNotFinite);
  try {
    Lmm lmm(input);
    fit_one(lmm, input, settings, rows, j);
  } catch (const PerfectFit&) {
    set_outcome(rows, j, Outcome::kExplained);
  } catch (const ModelTooLarge&) {
    set_outcome(rows, j, Outcome::kFailed);
  }
}

// Renumber the levels that occur in a slice, in order; how many there are.
Index compress(const std::int32_t* codes, Index n, std::vector<std::int32_t>& number,
               std::vector<std::int32_t>& out) {
  std::vector<std::int32_t> seen(codes, codes + n);
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  for (std::size_t i = 0; i < seen.size(); ++i) number[seen[i]] = static_cast<std::int32_t>(i);
  out.resize(n);
  for (Index i = 0; i < n; ++i) out[i] = number[codes[i]];
  return static_cast<Index>(seen.size());
}

}  // namespace

bool has_structure(const TermInput& term) {
  return std::any_of(term.structures.begin(), term.structures.end(),
                     [](const auto& structure) { return structure != nullptr; });
}

Index n_factors(const Input& input) {
  Index count = 0;
  for (const TermInput& term : input.terms) count += n_factors_of(term);
  return count;
}

void append_factors(const TermInput& term, const Matrix& lambda, const std::vector<Vector>& natural,
                    std::vector<double>& out) {
  if (natural.empty()) return append_triangle(lambda, out);
  const std::vector<std::vector<int>> columns = columns_of(term);
  for (std::size_t b = 0; b < columns.size(); ++b) {
    if (natural[b].size() == 0)
      append_triangle(lambda(columns[b], columns[b]), out);
    else
      out.insert(out.end(), natural[b].data(), natural[b].data() + natural[b].size());
  }
}

BatchRows::BatchRows(Index p, Index n_factors, Index n_contrasts, Index count)
    : outcome(Eigen::VectorXi::Zero(count)),
      n_objective(outcome),
      n_gradient(outcome),
      n_obs(outcome),
      objective(Vector::Constant(count, kNaN)),
      sigma(objective),
      smallest_sd(objective),
      decrement(objective),
      cone(objective),
      beta(Matrix::Constant(p, count, kNaN)),
      cov_root(Matrix::Constant(p * p, count, kNaN)),
      factors(Matrix::Constant(n_factors, count, kNaN)),
      df(Matrix::Constant(n_contrasts, count, kNaN)) {}

Vector satterthwaite(Lmm& lmm, const Estimate& estimate, bool reml, const Matrix& W) {
  const std::vector<Matrix>& lambda = estimate.lambda_standard;
  const double nu = lmm.pls().degrees(reml);
  const Curvature at = lmm.curvature(lambda, reml, 2, true);
  const Matrix J = lmm.covariance_jacobian(lambda);
  const Vector residual = at.quadratic / nu;
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(at.hessian);
  const double floor = kFlatShare * std::max(1e-300, eigen.eigenvalues().cwiseAbs().maxCoeff());
  Vector df(W.cols()), by_Sigma(J.rows());
  for (Index h = 0; h < W.cols(); ++h) {
    const auto w = W.col(h);
    for (Index a = 0; a < by_Sigma.size(); ++a) by_Sigma(a) = w.dot(at.G[a] * w);
    const Vector k = J.transpose() * by_Sigma / w.squaredNorm() - residual;
    const Vector rotated = eigen.eigenvectors().transpose() * k;
    double sum = 1.0 / nu;
    for (Index i = 0; i < rotated.size(); ++i)
      if (eigen.eigenvalues()(i) > floor) sum += rotated(i) * rotated(i) / eigen.eigenvalues()(i);
    df(h) = 1.0 / sum;
  }
  return df;
}

// A model of its own for each thread, and the rows that turn a response into products.
struct Batch::Worker {
  StandardRows rows;
  Lmm lmm;
  Vector y, weighted;
  std::vector<Vector> zy;

  explicit Worker(const Input& design) : lmm(design, rows), y(design.n), weighted(design.n) {}

  // Project X out of the response in y, twice, and hand it over; kConverged when something is left.
  Outcome take(const Input& design) {
    const Eigen::Map<const Vector> w(design.weights, design.weights ? design.n : 0);
    const double n = static_cast<double>(design.n);
    const auto weight = [&] {
      weighted = y;
      if (design.weights) weighted.array() *= w.array();
    };
    weight();
    const double before = y.dot(weighted);
    if (!is_measurable(y, before)) return Outcome::kNotFinite;
    Vector a = Vector::Zero(rows.X.cols());
    for (int pass = 0; pass < 2; ++pass) {
      const Vector step = rows.X.transpose() * weighted / n;
      y.noalias() -= rows.X * step;
      a += step;
      weight();
    }
    const double after = y.dot(weighted);
    if (!(after > kExplainedShare * kExplainedShare * before)) return Outcome::kExplained;
    const double s = std::sqrt(after / n);
    weighted /= s;
    multiply();
    lmm.set_response(a, s, zy);
    return Outcome::kConverged;
  }

  // Z_t'W y^ by term.
  void multiply() {
    zy.resize(rows.z.size());
    for (std::size_t t = 0; t < zy.size(); ++t) {
      const Index k = rows.z[t].cols();
      zy[t].setZero(lmm.pls().n_levels(t) * k);
      for (Index j = 0; j < k; ++j) {
        const double* z = rows.z[t].col(j).data();
        const std::int32_t* codes = rows.codes[t];
        for (Index i = 0; i < weighted.size(); ++i) zy[t](codes[i] * k + j) += z[i] * weighted(i);
      }
    }
  }
};

Batch::Batch(const Input& design) : design_(design), stand_in_(stand_in(design.n)) {
  for (const double*& column : design_.columns) {
    columns_.push_back(Eigen::Map<const Vector>(column, design.n));
    column = columns_.back().data();
  }
  if (design.weights) {
    weights_ = Eigen::Map<const Vector>(design.weights, design.n);
    design_.weights = weights_.data();
  }
  codes_.reserve(design.terms.size());
  for (TermInput& term : design_.terms) {
    codes_.emplace_back(term.codes, term.codes + design.n);
    term.codes = codes_.back().data();
  }
  design_.y = stand_in_.data();
}

BatchRows Batch::fit(const ConstMatrixRef& Y, const BatchSettings& settings, Team& team) {
  if (Y.rows() != design_.n) throw std::invalid_argument("Y: not one row a row of the design");
  BatchRows rows = make_rows(design_, settings, Y.cols());
  rows.n_obs.setConstant(static_cast<int>(design_.n));
  const Outcome outcome = outcome_of_counts(design_);
  if (outcome != Outcome::kConverged) {
    rows.outcome.setConstant(static_cast<int>(outcome));
    return rows;
  }
  workers_.resize(std::max(workers_.size(), static_cast<std::size_t>(team.size())));
  split(team, Y.cols(), [&](int thread, Index begin, Index end) {
    std::shared_ptr<Worker>& own = workers_[static_cast<std::size_t>(thread)];
    if (!own) own = std::make_shared<Worker>(design_);
    Worker& worker = *own;
    for (Index j = begin; j < end; ++j) {
      worker.y = Y.col(j);
      const Outcome taken = worker.take(design_);
      if (taken != Outcome::kConverged)
        set_outcome(rows, j, taken);
      else
        fit_one(worker.lmm, design_, settings, rows, j);
    }
  });
  return rows;
}

BatchRows fit_slices(const Input& all, const std::vector<Index>& start,
                     const BatchSettings& settings, Team& team) {
  const Index count = static_cast<Index>(start.size()) - 1;
  if (count < 0) throw std::invalid_argument("start: empty");
  for (Index i = 0; i < count; ++i)
    if (start[i] < 0 || start[i + 1] < start[i] || start[i + 1] > all.n)
      throw std::invalid_argument("start: not ascending within the rows");
  for (const TermInput& term : all.terms)
    for (Index i = start.front(); i < start.back(); ++i)
      if (term.codes[i] < 0 || term.codes[i] >= term.n_levels)
        throw std::invalid_argument("codes: a level is out of range");
  BatchRows rows = make_rows(all, settings, count);
  split(team, count, [&](int, Index begin, Index end) {
    std::vector<std::vector<std::int32_t>> codes(all.terms.size()), number(all.terms.size());
    for (std::size_t t = 0; t < number.size(); ++t) number[t].resize(all.terms[t].n_levels);
    for (Index j = begin; j < end; ++j) {
      Input slice = all;
      const Index first = start[j];
      slice.n = start[j + 1] - first;
      slice.y += first;
      if (slice.weights) slice.weights += first;
      for (const double*& column : slice.columns) column += first;
      for (std::size_t t = 0; t < codes.size(); ++t) {
        slice.terms[t].n_levels =
            compress(all.terms[t].codes + first, slice.n, number[t], codes[t]);
        slice.terms[t].codes = codes[t].data();
      }
      fit_rows(slice, settings, rows, j);
    }
  });
  return rows;
}

BatchRows fit_weighted(const Input& design, const ConstMatrixRef& Y, const ConstMatrixRef& W,
                       const BatchSettings& settings, Team& team) {
  if (Y.rows() != design.n) throw std::invalid_argument("Y: not one row a row of the design");
  if (W.rows() != design.n || W.cols() != Y.cols())
    throw std::invalid_argument("W: not of the shape of Y");
  BatchRows rows = make_rows(design, settings, Y.cols());
  split(team, Y.cols(), [&](int, Index begin, Index end) {
    for (Index j = begin; j < end; ++j) {
      const Vector y = Y.col(j), w = W.col(j);
      Input own = design;
      own.y = y.data();
      own.weights = w.data();
      fit_rows(own, settings, rows, j);
    }
  });
  return rows;
}

}  // namespace ranef
