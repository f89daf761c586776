#include "ranef/gee_correlation.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace ranef {
namespace {

// Correlations estimated beyond this are put here: the working matrix must stay positive definite.
constexpr double kBound = 0.9999;

double weight(const GeeData& data, Index i) {
  return data.weights.size() == 0 ? 1.0 : data.weights[i];
}

// Calls f(row j, row k, weight) for every pair within a cluster.
template <class F>
void each_pair(const GeeData& data, F&& f) {
  for (Index g = 0; g + 1 < data.start.size(); ++g) {
    for (Index j = data.start[g]; j < data.start[g + 1]; ++j) {
      const double wj = weight(data, j);
      for (Index k = j + 1; k < data.start[g + 1]; ++k) f(j, k, wj * weight(data, k));
    }
  }
}

double clip(double value, double low, double high, bool& at_bound) {
  at_bound = at_bound || value < low || value > high;
  return std::min(std::max(value, low), high);
}

// Mean of r_j r_k over pairs, by sums of each cluster.
double exchangeable(const GeeData& data, ConstVectorRef r, double phi, bool& at_bound) {
  double products = 0.0, pairs = 0.0;
  Index largest = 1;
  for (Index g = 0; g + 1 < data.start.size(); ++g) {
    double s1 = 0.0, s2 = 0.0, w1 = 0.0, w2 = 0.0;
    for (Index i = data.start[g]; i < data.start[g + 1]; ++i) {
      const double w = weight(data, i), x = w * r[i];
      s1 += x;
      s2 += x * x;
      w1 += w;
      w2 += w * w;
    }
    if (data.start[g + 1] - data.start[g] < 2) continue;
    products += s1 * s1 - s2;
    pairs += w1 * w1 - w2;
    largest = std::max<Index>(largest, data.start[g + 1] - data.start[g]);
  }
  if (pairs <= 0.0 || phi <= 0.0) return 0.0;
  const double low = -kBound / static_cast<double>(std::max<Index>(1, largest - 1));
  return clip(products / pairs / phi, low, kBound, at_bound);
}

struct LagSums {
  Vector product, count;
};

LagSums sums_by_lag(const GeeData& data, const Lags& lags, ConstVectorRef r, double phi,
                    Index longest) {
  LagSums s{Vector::Zero(longest + 1), Vector::Zero(longest + 1)};
  each_pair(data, [&](Index j, Index k, double w) {
    const Index lag = lags.id(data.wave[j], data.wave[k]);
    if (lag > longest) return;
    s.product[lag] += w * r[j] * r[k] / phi;
    s.count[lag] += w;
  });
  return s;
}

// Least squares of the mean products on alpha^lag, by safeguarded Gauss-Newton steps.
double ar1(const GeeData& data, const Lags& lags, ConstVectorRef r, double phi, double start,
           bool& at_bound) {
  const LagSums s = sums_by_lag(data, lags, r, phi, lags.count() - 1);
  const double low = lags.allows_negative() ? -kBound : 1e-6;
  double alpha = std::min(std::max(start, low), kBound);
  for (int iteration = 0; iteration < 100; ++iteration) {
    double gradient = 0.0, curvature = 0.0;
    for (Index l = 0; l < lags.count(); ++l) {
      if (s.count[l] <= 0.0) continue;
      const double d = lags.distance(l), slope = d * std::pow(alpha, d - 1.0);
      gradient += slope * (s.product[l] - s.count[l] * std::pow(alpha, d));
      curvature += slope * slope * s.count[l];
    }
    if (!(curvature > 0.0)) break;
    const double next = std::min(std::max(alpha + gradient / curvature, low), kBound);
    const double moved = std::abs(next - alpha);
    alpha = next;
    if (moved < 1e-12) break;
  }
  at_bound = at_bound || alpha == kBound || alpha == low;
  return alpha;
}

Vector m_dependent(const GeeData& data, const Lags& lags, ConstVectorRef r, double phi, int m) {
  const LagSums s = sums_by_lag(data, lags, r, phi, m);
  Vector alpha = Vector::Zero(m);
  for (int l = 1; l <= m; ++l) {
    if (s.count[l] > 0.0) alpha[l - 1] = s.product[l] / s.count[l];
  }
  return alpha;
}

// Position of the pair a < b among all pairs, row by row.
Index pair_index(Index a, Index b, Index n_waves) {
  return a * n_waves - a * (a + 1) / 2 + b - a - 1;
}

Vector unstructured(const GeeData& data, ConstVectorRef r, double phi) {
  const Index T = data.time.size();
  Vector alpha = Vector::Zero(T * (T - 1) / 2), count = alpha;
  each_pair(data, [&](Index j, Index k, double w) {
    const Index at = pair_index(data.wave[j], data.wave[k], T);
    alpha[at] += w * r[j] * r[k] / phi;
    count[at] += w;
  });
  return (count.array() > 0.0).select(alpha.array() / count.array().max(1e-300), 0.0);
}

Matrix full_correlation(const GeeData& data, const GeeOptions& options, const Lags& lags,
                        const Vector& alpha) {
  const Index T = data.time.size();
  Matrix R = Matrix::Identity(T, T);
  for (Index a = 0; a < T; ++a) {
    for (Index b = a + 1; b < T; ++b) {
      double value = 0.0;
      if (options.corr == Corr::unstructured) {
        value = alpha[pair_index(a, b, T)];
      } else {
        const Index lag = lags.id(a, b);
        value = lag <= options.lags ? alpha[lag - 1] : 0.0;
      }
      R(a, b) = R(b, a) = value;
    }
  }
  return R;
}

}  // namespace

namespace {

double smallest_gap(const Vector& time) {
  double smallest = time.size() > 1 ? time[1] - time[0] : 1.0;
  for (Index i = 1; i < time.size(); ++i) {
    const double gap = time[i] - time[i - 1];
    if (!(gap > 0.0)) throw std::invalid_argument("time: not ascending");
    smallest = std::min(smallest, gap);
  }
  return smallest;
}

// Median distance between neighbouring rows of a cluster.
double typical_gap(const GeeData& data, double otherwise) {
  std::vector<double> gaps;
  for (Index g = 0; g + 1 < data.start.size(); ++g) {
    for (Index i = data.start[g] + 1; i < data.start[g + 1]; ++i) {
      gaps.push_back(data.time[data.wave[i]] - data.time[data.wave[i - 1]]);
    }
  }
  if (gaps.empty()) return otherwise;
  const auto middle = gaps.begin() + static_cast<std::ptrdiff_t>(gaps.size() / 2);
  std::nth_element(gaps.begin(), middle, gaps.end());
  return *middle > 0.0 ? *middle : otherwise;
}

}  // namespace

Lags::Lags(const GeeData& data) : time_(data.time) {
  constexpr double kMostSteps = 1e6;
  const double step = smallest_gap(time_);
  unit_ = typical_gap(data, step);
  bool regular = true;
  for (Index i = 0; i < time_.size(); ++i) {
    const double steps = (time_[i] - time_[0]) / step;
    regular = regular && std::abs(steps - std::round(steps)) < 1e-6 && steps < kMostSteps;
  }
  if (regular) {
    for (Index i = 0; i < time_.size(); ++i) {
      position_.push_back(static_cast<Index>(std::lround((time_[i] - time_[0]) / step)));
    }
    const double whole = std::round(unit_ / step);
    const Index longest = position_.empty() ? 0 : position_.back();
    for (Index l = 0; l <= longest; ++l) distance_.push_back(static_cast<double>(l) / whole);
    allows_negative_ = whole == 1.0 && std::fmod(step, 2.0) == 1.0;
    return;
  }
  each_pair(data, [this, &data](Index j, Index k, double) {
    distance_.push_back(gap(data.wave[j], data.wave[k]));
  });
  std::sort(distance_.begin(), distance_.end());
  distance_.erase(std::unique(distance_.begin(), distance_.end()), distance_.end());
}

Index Lags::id(Index a, Index b) const {
  if (regular()) {
    return std::abs(position_[static_cast<std::size_t>(a)] -
                    position_[static_cast<std::size_t>(b)]);
  }
  const auto at = std::lower_bound(distance_.begin(), distance_.end(), gap(a, b));
  return static_cast<Index>(at - distance_.begin());
}

double Lags::per_unit_of_time(double alpha) const {
  return std::copysign(std::pow(std::abs(alpha), 1.0 / unit_), alpha);
}

Vector estimate_alpha(const GeeData& data, const GeeOptions& options, const Lags& lags,
                      ConstVectorRef pearson, double phi, const Vector& previous, bool& at_bound) {
  at_bound = false;
  switch (options.corr) {
    case Corr::independence:
    case Corr::fixed:
      return Vector();
    case Corr::exchangeable:
      return Vector::Constant(1, exchangeable(data, pearson, phi, at_bound));
    case Corr::ar1: {
      const double start = previous.size() == 1 ? previous[0] : 0.3;
      return Vector::Constant(1, ar1(data, lags, pearson, phi, start, at_bound));
    }
    case Corr::m_dependent:
      return m_dependent(data, lags, pearson, phi, options.lags);
    case Corr::unstructured:
      return unstructured(data, pearson, phi);
  }
  return Vector();
}

Whitener::Whitener(const GeeData& data, const GeeOptions& options, const Lags& lags,
                   const Vector& alpha)
    : lags_(lags), corr_(options.corr) {
  if (corr_ == Corr::exchangeable || corr_ == Corr::ar1) alpha_ = alpha[0];
  if (corr_ == Corr::ar1) {
    for (Index l = 0; l < lags.count(); ++l) {
      decay_.push_back(std::pow(alpha_, lags.distance(l)));
      rest_.push_back(1.0 / std::sqrt(1.0 - decay_.back() * decay_.back()));
    }
  }
  if (corr_ == Corr::m_dependent || corr_ == Corr::unstructured || corr_ == Corr::fixed) {
    R_ = corr_ == Corr::fixed ? Matrix(data.fixed) : full_correlation(data, options, lags, alpha);
    for (Index g = 0; g + 1 < data.start.size() && valid_; ++g) {
      factor(data.wave.segment(data.start[g], data.start[g + 1] - data.start[g]));
    }
  }
}

// Factor R over the waves of one cluster, unless the last one had the same.
void Whitener::factor(Int32Ref wave) const {
  bool same = static_cast<Index>(pattern_.size()) == wave.size();
  for (Index i = 0; same && i < wave.size(); ++i) {
    same = pattern_[static_cast<std::size_t>(i)] == wave[i];
  }
  if (same) return;
  pattern_.assign(wave.begin(), wave.end());
  Matrix part(wave.size(), wave.size());
  for (Index i = 0; i < wave.size(); ++i) {
    for (Index j = 0; j < wave.size(); ++j) part(i, j) = R_(wave[i], wave[j]);
  }
  const Eigen::LLT<Matrix> factored(part);
  valid_ = factored.info() == Eigen::Success;
  factor_ = factored.matrixL();
}

void Whitener::apply(Int32Ref wave, Eigen::Ref<RowMatrix> block) const {
  const Index n = block.rows();
  switch (corr_) {
    case Corr::independence:
      return;
    case Corr::exchangeable: {
      // R^-1/2 = (I - c J / n) / sqrt(1 - alpha), c = 1 - sqrt((1 - alpha) / (1 + (n - 1) alpha))
      const double top = 1.0 - alpha_, whole = 1.0 + static_cast<double>(n - 1) * alpha_;
      const double c = (1.0 - std::sqrt(top / whole)) / static_cast<double>(n);
      const double scale = 1.0 / std::sqrt(top);
      shift_ = block.row(0);
      for (Index i = 1; i < n; ++i) shift_ += block.row(i);
      shift_ *= c;
      for (Index i = 0; i < n; ++i) block.row(i) = (block.row(i) - shift_) * scale;
      return;
    }
    case Corr::ar1:
      for (Index i = n - 1; i > 0; --i) {
        const auto lag = static_cast<std::size_t>(lags_.id(wave[i], wave[i - 1]));
        block.row(i) = (block.row(i) - decay_[lag] * block.row(i - 1)) * rest_[lag];
      }
      return;
    case Corr::m_dependent:
    case Corr::unstructured:
    case Corr::fixed:
      factor(wave);
      factor_.triangularView<Eigen::Lower>().solveInPlace(block);
      return;
  }
}

}  // namespace ranef
