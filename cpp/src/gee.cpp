#include "ranef/gee.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <vector>

#include "ranef/gee_correlation.hpp"
#include "ranef/interrupt.hpp"

namespace ranef {
namespace {

void check(const GeeData& data) {
  const Index n = data.y.size();
  if (data.X.rows() != n) throw std::invalid_argument("X: one row for each entry of y");
  if (data.wave.size() != n) throw std::invalid_argument("wave: one entry for each row");
  for (const Index size : {data.offset.size(), data.weights.size()}) {
    if (size != 0 && size != n) {
      throw std::invalid_argument("offset, weights: one entry for each row, or none");
    }
  }
  if (data.start.size() < 2 || data.start[0] != 0 || data.start[data.start.size() - 1] != n) {
    throw std::invalid_argument("start: from 0 to the number of rows");
  }
  for (Index g = 0; g + 1 < data.start.size(); ++g) {
    if (data.start[g] >= data.start[g + 1]) throw std::invalid_argument("start: empty cluster");
  }
  if (n > 0 && (data.wave.minCoeff() < 0 || data.wave.maxCoeff() >= data.time.size())) {
    throw std::invalid_argument("wave: an entry is outside 0 to n_waves - 1");
  }
}

// What the current beta says about each row.
struct State {
  Vector eta, mu;
  Vector pearson;  // (y - mu) / sqrt(V(mu))
  Vector slope;    // dmu/deta sqrt(w / V(mu))
  Vector scaled;   // pearson sqrt(w)
  RowMatrix rows;  // (n, p + 1) R^-1/2 [slope * X, scaled], once whitened
  bool valid = true;
};

double weight(const GeeData& data, Index i) {
  return data.weights.size() == 0 ? 1.0 : data.weights[i];
}

void evaluate(const GeeData& data, const GeeOptions& options, ConstVectorRef beta, State& s) {
  s.eta.noalias() = data.X * beta;
  if (data.offset.size() > 0) s.eta += data.offset;
  s.valid = true;
  for (Index i = 0; i < data.y.size(); ++i) {
    const MeanPoint m = mean_point(options.link, s.eta[i]);
    const double v = variance(options.family, m.mu);
    if (!(v > 0.0) || !std::isfinite(m.mu) || !std::isfinite(m.slope)) {
      s.valid = false;
      return;
    }
    const double sd = std::sqrt(v), sw = std::sqrt(weight(data, i));
    s.mu[i] = m.mu;
    s.pearson[i] = (data.y[i] - m.mu) / sd;
    s.slope[i] = m.slope * sw / sd;
    s.scaled[i] = s.pearson[i] * sw;
  }
}

double scale_of(const GeeData& data, const State& s) {
  const double total =
      data.weights.size() == 0 ? static_cast<double>(data.y.size()) : data.weights.sum();
  return s.scaled.squaredNorm() / total;
}

// rows = R^-1/2 [slope * X, scaled], cluster by cluster.
void whiten(const GeeData& data, const Whitener& whitener, State& s) {
  constexpr Index kTile = 256;
  const Index n = data.X.rows(), p = data.X.cols();
  for (Index i = 0; i < n; i += kTile) {
    const Index size = std::min(kTile, n - i);
    s.rows.block(i, 0, size, p) =
        s.slope.segment(i, size).asDiagonal() * data.X.middleRows(i, size);
  }
  s.rows.col(p) = s.scaled;
  for (Index g = 0; g + 1 < data.start.size(); ++g) {
    pause();
    const Index first = data.start[g], size = data.start[g + 1] - first;
    whitener.apply(data.wave.segment(first, size), s.rows.middleRows(first, size));
  }
}

// rows' rows, whose last column is the score.
Matrix information(const State& s) {
  const Index p = s.rows.cols();
  Matrix sum = Matrix::Zero(p, p);
  sum.selfadjointView<Eigen::Lower>().rankUpdate(s.rows.transpose());
  return sum.selfadjointView<Eigen::Lower>();
}

// Move beta along `step`, halved while the mean leaves its range.
bool move(const GeeData& data, const GeeOptions& options, const Vector& step, Vector& beta,
          State& s) {
  double length = 1.0;
  for (int halving = 0; halving < 30; ++halving, length *= 0.5) {
    const Vector next = beta + length * step;
    evaluate(data, options, next, s);
    if (s.valid) {
      beta = next;
      return true;
    }
  }
  return false;
}

// Weighted least squares on X of the working response at starting means near y, or, when that is
// not in the range of the link, of the constant predictor that fits the overall mean.
bool start_beta(const GeeData& data, const GeeOptions& options, bool constant, Vector& beta) {
  const Index n = data.y.size(), p = data.X.cols();
  Matrix cross = Matrix::Zero(p + 1, p + 1);
  Vector row(p + 1);
  const double average = data.y.mean();
  for (Index i = 0; i < n; ++i) {
    const double w = weight(data, i);
    const double start = constant ? average : starting_mean(options.family, data.y[i], w);
    const double eta = link_of(options.link, start);
    const MeanPoint m = mean_point(options.link, eta);
    const double v = variance(options.family, m.mu);
    if (!(v > 0.0) || !std::isfinite(eta) || !std::isfinite(m.slope)) return false;
    row.head(p) = data.X.row(i);
    row[p] = eta - (data.offset.size() > 0 ? data.offset[i] : 0.0);
    if (!constant) row[p] += (data.y[i] - m.mu) / m.slope;
    const double share = w * m.slope * m.slope / v;
    for (Index j = 0; j <= p; ++j)
      for (Index k = 0; k <= p; ++k) cross(k, j) += share * row[k] * row[j];
  }
  const Vector right = cross.col(p).head(p);
  beta = Eigen::LDLT<Matrix>(cross.topLeftCorner(p, p)).solve(right);
  return beta.allFinite();
}

bool start(const GeeData& data, const GeeOptions& options, Vector& beta, State& s) {
  for (const bool constant : {false, true}) {
    if (!start_beta(data, options, constant, beta)) continue;
    evaluate(data, options, beta, s);
    if (s.valid) return true;
  }
  return false;
}

void finish(const State& s, GeeFit& fit) {
  const Index p = s.rows.cols() - 1;
  fit.columns = s.rows.leftCols(p);
  fit.resid = s.rows.col(p);
  fit.mu = s.mu;
}

double largest_change(const Vector& a, const Vector& b) {
  if (a.size() == 0) return 0.0;
  return a.size() == b.size() ? (a - b).cwiseAbs().maxCoeff() : 1.0;
}

void stop(GeeFit& fit, GeeStatus status) { fit.status = status; }

// Fisher scoring in beta, phi and alpha re-estimated before each step.
void iterate(const GeeData& data, const GeeOptions& options, const Lags& lags, State& s,
             GeeFit& fit) {
  const Index p = data.X.cols();
  for (int iteration = 0; iteration < options.max_iterations; ++iteration) {
    pause();
    fit.phi = scale_of(data, s);
    const Vector previous = fit.alpha;
    fit.alpha =
        estimate_alpha(data, options, lags, s.pearson, fit.phi, previous, fit.alpha_at_bound);
    const Whitener whitener(data, options, lags, fit.alpha);
    if (!whitener.valid()) return stop(fit, GeeStatus::not_positive_definite);
    whiten(data, whitener, s);
    const Matrix sum = information(s);
    fit.bread = sum.topLeftCorner(p, p);
    const Eigen::LLT<Matrix> factor(fit.bread);
    if (factor.info() != Eigen::Success) {
      finish(s, fit);
      return stop(fit, GeeStatus::singular);
    }
    const Vector right = sum.col(p).head(p), step = factor.solve(right);
    const double size =
        std::sqrt(std::max(0.0, step.dot(fit.bread * step)) / std::max(fit.phi, 1e-300));
    ++fit.iterations;
    const bool settled = std::max(size, largest_change(fit.alpha, previous)) < options.tolerance;
    if (settled || iteration + 1 == options.max_iterations) {
      finish(s, fit);
      return stop(fit, settled ? GeeStatus::converged : GeeStatus::iterations);
    }
    if (!move(data, options, step, fit.beta, s)) return stop(fit, GeeStatus::invalid_mean);
  }
}

}  // namespace

GeeFit fit_gee(const GeeData& data, const GeeOptions& options) {
  check(data);
  const Index n = data.y.size();
  GeeFit fit;
  State s;
  for (Vector* v : {&s.eta, &s.mu, &s.pearson, &s.slope, &s.scaled}) v->resize(n);
  s.rows.resize(n, data.X.cols() + 1);
  fit.status = GeeStatus::invalid_mean;
  if (!start(data, options, fit.beta, s)) return fit;
  const bool by_distance = options.corr == Corr::ar1 || options.corr == Corr::m_dependent;
  const Lags lags = by_distance ? Lags(data) : Lags();
  if (options.corr == Corr::m_dependent && !lags.regular()) {
    throw std::invalid_argument("time: m-dependence counts equal steps");
  }
  // First with independent rows, roughly; then with the working correlation.
  GeeOptions rough = options;
  rough.corr = Corr::independence;
  rough.tolerance = 1e-3;
  if (options.corr != Corr::independence) iterate(data, rough, lags, s, fit);
  if (options.corr == Corr::independence || fit.status == GeeStatus::converged ||
      fit.status == GeeStatus::iterations) {
    iterate(data, options, lags, s, fit);
  }
  if (options.corr == Corr::ar1 && fit.alpha.size() == 1) {
    fit.alpha[0] = lags.per_unit_of_time(fit.alpha[0]);
  }
  return fit;
}

Vector mean_of(Link link, ConstVectorRef eta) {
  return eta.unaryExpr([link](double e) { return mean_point(link, e).mu; });
}

Vector mean_slope(Link link, ConstVectorRef eta) {
  return eta.unaryExpr([link](double e) { return mean_point(link, e).slope; });
}

Corr parse_corr(const std::string& name) {
  const std::map<std::string, Corr> known = {{"independence", Corr::independence},
                                             {"exchangeable", Corr::exchangeable},
                                             {"ar1", Corr::ar1},
                                             {"m-dependent", Corr::m_dependent},
                                             {"unstructured", Corr::unstructured},
                                             {"fixed", Corr::fixed}};
  const auto found = known.find(name);
  if (found == known.end()) throw std::invalid_argument("corr: " + name);
  return found->second;
}

}  // namespace ranef
