// Mixtures of growth curves: densities and likelihoods written out with dense matrices, EM that
// never falls, maxima, and starts that come to nothing.
#include "ranef/mixture.hpp"

#include "check.hpp"

using namespace ranef;

namespace {

struct Data {
  Matrix X;
  Vector y;
  std::vector<Index> start{0};

  Index units() const { return static_cast<Index>(start.size()) - 1; }
};

// Units with from 3 to 7 rows in two kinds of curves: normal, or counts.
Data draw(unsigned seed, Index units, Index p, bool counts) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> times, values;
  Data out;
  for (Index u = 0; u < units; ++u) {
    const double level = 0.5 * normal(random), slope = 0.6 * normal(random);
    const double kind = u % 3 == 0 ? 1.0 : 0.0, spread = counts ? 0.0 : 1.0;
    const Index rows = 3 + Index(random() % 5);
    for (Index i = 0; i < rows; ++i) {
      const double t = 0.5 * double(i) - 1.0;
      const double eta = 0.4 + 1.5 * kind + spread * level + (0.2 + kind + spread * slope) * t;
      times.push_back(t);
      if (counts) {
        std::poisson_distribution<int> poisson(std::exp(eta));
        values.push_back(poisson(random));
      } else {
        values.push_back(eta + 0.4 * normal(random));
      }
    }
    out.start.push_back(static_cast<Index>(times.size()));
  }
  const Index n = static_cast<Index>(times.size());
  out.y = Eigen::Map<const Vector>(values.data(), n);
  out.X.resize(n, p);
  for (Index j = 0; j < p; ++j)
    out.X.col(j) = Eigen::Map<const Vector>(times.data(), n).array().pow(double(j));
  return out;
}

// The root of Psi of class k, by rows.
Matrix root_of(const Vector& at, const MixtureLayout& layout, Index k) {
  Matrix L = Matrix::Zero(layout.r, layout.r);
  Index place = layout.root(k);
  for (Index i = 0; i < layout.r; ++i)
    for (Index j = 0; j <= i; ++j) L(i, j) = at(place++);
  return L;
}

// log f_k(y_u) from the definition.
double dense_density(const Data& data, const Vector& at, const MixtureLayout& layout, Index u,
                     Index k) {
  const Index from = data.start[u], n = data.start[u + 1] - from;
  const Matrix X = data.X.middleRows(from, n);
  const Vector y = data.y.segment(from, n), eta = X * at.segment(layout.beta(k), layout.p);
  if (layout.poisson) {
    double sum = 0.0;
    for (Index i = 0; i < n; ++i) sum += y(i) * eta(i) - std::exp(eta(i)) - std::lgamma(y(i) + 1.0);
    return sum;
  }
  const Matrix ZL = X.leftCols(layout.r) * root_of(at, layout, k);
  Matrix V = ZL * ZL.transpose();
  V.diagonal().array() += std::exp(at(layout.log_variance(k)));
  const Vector left = y - eta;
  const Eigen::FullPivLU<Matrix> lu(V);
  return -0.5 *
         (double(n) * std::log(2.0 * M_PI) + std::log(lu.determinant()) + left.dot(lu.solve(left)));
}

// sum_u log sum_k pi_k f_k(y_u).
double dense_llf(const Data& data, const Vector& at, const MixtureLayout& layout) {
  const Vector share = at.head(layout.classes).array().exp();
  double total = 0.0;
  for (Index u = 0; u < data.units(); ++u) {
    double sum = 0.0;
    for (Index k = 0; k < layout.classes; ++k)
      sum += share(k) / share.sum() * std::exp(dense_density(data, at, layout, u, k));
    total += std::log(sum);
  }
  return total;
}

Eigen::MatrixXi random_labels(unsigned seed, Index units, Index classes, Index starts) {
  std::mt19937 random(seed);
  return Eigen::MatrixXi::NullaryExpr(
      units, starts, [&](Index, Index) { return int(random() % unsigned(classes)); });
}

// Parameters that move together, a column each: shares keep their sum, equal variances stay equal.
Matrix directions(const MixtureLayout& layout, bool equal) {
  const Index K = layout.classes, size = layout.size();
  std::vector<Vector> columns;
  for (Index i = 1; i < K + K * layout.p; ++i) columns.push_back(Vector::Unit(size, i));
  for (Index j = K + K * layout.p; j < size;) {
    const bool variance = j < layout.root(0);
    const Index step = variance ? 1 : layout.roots();
    if (!equal) {
      columns.push_back(Vector::Unit(size, j++));
      continue;
    }
    Vector together = Vector::Zero(size);
    for (Index k = 0; k < K; ++k) together(j + k * step) = 1.0;
    columns.push_back(together);
    ++j;
    if (variance) j = layout.root(0);
    if (j == layout.root(0) + layout.roots()) break;
  }
  Matrix out(size, static_cast<Index>(columns.size()));
  for (std::size_t j = 0; j < columns.size(); ++j) out.col(static_cast<Index>(j)) = columns[j];
  return out;
}

// The best start ends where the dense likelihood is level, and no point near by is higher.
void check_maximum(const Data& data, const MixtureLayout& layout, bool equal) {
  MixtureSettings settings;
  settings.tolerance = 1e-12;
  settings.max_steps = 3000;
  const Mixture mixture(data.X, data.y, data.start, layout.classes, layout.r, equal, layout.poisson,
                        settings);
  CHECK(mixture.size() == layout.size());
  Team team(2);
  const MixtureRuns runs = mixture.fit(random_labels(3, data.units(), layout.classes, 3), team);
  Index best = -1;
  for (Index s = 0; s < runs.llf.size(); ++s)
    if (runs.status(s) == static_cast<int>(MixtureStatus::converged) &&
        (best < 0 || runs.llf(s) > runs.llf(best)))
      best = s;
  CHECK(best >= 0);
  const Vector at = runs.at.col(best);
  CHECK_CLOSE(at.head(layout.classes).array().exp().sum(), 1.0, 1e-12);
  const double llf = dense_llf(data, at, layout);
  CHECK_CLOSE(runs.llf(best), llf, 1e-9);
  const Matrix D = mixture.density(at);
  for (Index u = 0; u < data.units(); ++u)
    for (Index k = 0; k < layout.classes; ++k)
      CHECK_CLOSE(D(u, k), dense_density(data, at, layout, u, k), 1e-10);
  const Matrix moves = directions(layout, equal);
  for (Index j = 0; j < moves.cols(); ++j) {
    const double ahead = dense_llf(data, at + 1e-4 * moves.col(j), layout);
    const double behind = dense_llf(data, at - 1e-4 * moves.col(j), layout);
    CHECK(std::abs(ahead - behind) / 2e-4 < 1e-2);
    CHECK(ahead < llf + 1e-8 && behind < llf + 1e-8);
  }
  std::mt19937 random(9);
  std::normal_distribution<double> normal;
  for (int i = 0; i < 10; ++i) {
    const Vector step = Vector::NullaryExpr(moves.cols(), [&] { return 0.03 * normal(random); });
    CHECK(dense_llf(data, at + moves * step, layout) < llf + 1e-8);
  }
}

// Each round of EM raises the likelihood, from any parameters: a search of few steps ends no lower.
void check_rises(const Data& data, const MixtureLayout& layout, bool equal) {
  std::mt19937 random(5);
  std::normal_distribution<double> normal;
  Team team(1);
  for (int i = 0; i < 4; ++i) {
    Vector at = Vector::NullaryExpr(layout.size(), [&] { return 0.4 * normal(random); });
    at.head(layout.classes).array() -= std::log(at.head(layout.classes).array().exp().sum());
    if (equal)
      for (Index k = 1; k < layout.classes; ++k) {
        at(layout.log_variance(k)) = at(layout.log_variance(0));
        at.segment(layout.root(k), layout.roots()) = at.segment(layout.root(0), layout.roots());
      }
    double before = dense_llf(data, at, layout);
    for (const int steps : {2, 5, 20, 100}) {
      MixtureSettings settings;
      settings.max_steps = steps;
      const Mixture mixture(data.X, data.y, data.start, layout.classes, layout.r, equal,
                            layout.poisson, settings);
      const MixtureRuns runs = mixture.refine(at, team);
      CHECK(runs.status(0) <= static_cast<int>(MixtureStatus::stopped));
      const double after = dense_llf(data, runs.at.col(0), layout);
      CHECK(after > before - 1e-8 * (1.0 + std::abs(before)));
      before = after;
      at = runs.at.col(0);
    }
  }
}

// One class without random effects is least squares.
void check_least_squares(const Data& data) {
  const MixtureLayout layout{1, data.X.cols(), 0, false};
  const Mixture mixture(data.X, data.y, data.start, 1, 0, false, false, {});
  Team team(1);
  const MixtureRuns runs = mixture.fit(Eigen::MatrixXi::Zero(data.units(), 1), team);
  const Vector beta = data.X.colPivHouseholderQr().solve(data.y);
  for (Index j = 0; j < layout.p; ++j) CHECK_CLOSE(runs.at(layout.beta(0) + j, 0), beta(j), 1e-10);
  const double variance = (data.y - data.X * beta).squaredNorm() / double(data.y.size());
  CHECK_CLOSE(std::exp(runs.at(layout.log_variance(0), 0)), variance, 1e-10);
}

// Any number of threads gives the same bits.
void check_threads(const Data& data, const MixtureLayout& layout) {
  const Mixture mixture(data.X, data.y, data.start, layout.classes, layout.r, false, layout.poisson,
                        {});
  const Eigen::MatrixXi labels = random_labels(8, data.units(), layout.classes, 9);
  Team one(1), three(3);
  const MixtureRuns a = mixture.fit(labels, one), b = mixture.fit(labels, three);
  CHECK(a.at == b.at && a.llf == b.llf && a.status == b.status && a.steps == b.steps);
}

// A class without units is "empty"; one whose rows lie on a line is "collapsed"; and a number that
// is not finite is "broken".
void check_what_comes_to_nothing() {
  Data data = draw(4, 12, 2, false);
  Team team(1);
  const MixtureLayout layout{2, 2, 0, false};
  MixtureSettings settings;
  settings.smallest = 1e-8;
  {
    const Mixture mixture(data.X, data.y, data.start, 2, 0, false, false, settings);
    const MixtureRuns runs = mixture.fit(Eigen::MatrixXi::Zero(data.units(), 1), team);
    CHECK(runs.status(0) == static_cast<int>(MixtureStatus::empty));
    CHECK(runs.llf(0) < -1e300);
    Vector at = Vector::Zero(layout.size());
    at(layout.beta(0)) = std::nan("");
    CHECK(mixture.refine(at, team).status(0) == static_cast<int>(MixtureStatus::broken));
  }
  Eigen::MatrixXi labels = Eigen::MatrixXi::Zero(data.units(), 1);
  for (Index u = 0; u < 3; ++u) {
    labels(u, 0) = 1;
    for (Index i = data.start[u]; i < data.start[u + 1]; ++i) data.y(i) = 20.0 + 3.0 * data.X(i, 1);
  }
  const Mixture mixture(data.X, data.y, data.start, 2, 0, false, false, settings);
  CHECK(mixture.fit(labels, team).status(0) == static_cast<int>(MixtureStatus::collapsed));
  const Mixture equal(data.X, data.y, data.start, 2, 0, true, false, settings);
  CHECK(equal.fit(labels, team).status(0) == static_cast<int>(MixtureStatus::converged));
  // Counts that are all zero have a rate of zero, and an end.
  data.y.setZero();
  const Mixture zeros(data.X, data.y, data.start, 2, 0, false, true, settings);
  CHECK(std::isfinite(zeros.fit(random_labels(1, data.units(), 2, 1), team).llf(0)));
}

template <class Work>
bool refused(const Work& work) {
  try {
    work();
  } catch (const std::invalid_argument&) {
    return true;
  }
  return false;
}

void check_arguments() {
  const Data data = draw(1, 6, 2, false);
  const auto make = [&](std::vector<Index> start, Index classes, Index random, bool poisson) {
    return Mixture(data.X, data.y, std::move(start), classes, random, false, poisson, {});
  };
  const Index n = data.y.size();
  CHECK(refused([&] { make({0, n - 1}, 2, 0, false); }));
  CHECK(refused([&] { make({0, 3, 3, n}, 2, 0, false); }));
  CHECK(refused([&] { make({}, 2, 0, false); }));
  CHECK(refused([&] { make(data.start, 0, 0, false); }));
  CHECK(refused([&] { make(data.start, 2, 3, false); }));
  CHECK(refused([&] { make(data.start, 2, 1, true); }));
  const Matrix wide = Matrix::Ones(n, 5);
  CHECK(refused([&] { Mixture(wide, data.y, data.start, 2, 0, false, false, {}); }));
  const Mixture mixture = make(data.start, 2, 1, false);
  Team team(1);
  CHECK(refused([&] { mixture.fit(Eigen::MatrixXi::Zero(5, 1), team); }));
  CHECK(refused([&] { mixture.fit(Eigen::MatrixXi::Constant(6, 1, 2), team); }));
  CHECK(refused([&] { mixture.refine(Matrix::Zero(3, 1), team); }));
  CHECK(refused([&] { mixture.density(Vector::Zero(3)); }));
}

}  // namespace

int main() {
  const Data lines = draw(1, 45, 2, false), bends = draw(2, 45, 3, false),
             counts = draw(3, 45, 2, true);
  for (const bool equal : {false, true}) {
    for (Index r = 0; r <= 2; ++r) check_maximum(lines, {2, 2, r, false}, equal);
    check_maximum(bends, {2, 3, 1, false}, equal);
    check_rises(lines, {2, 2, 1, false}, equal);
    check_rises(bends, {3, 3, 2, false}, equal);
  }
  check_maximum(lines, {1, 2, 2, false}, false);
  check_maximum(counts, {2, 2, 0, true}, false);
  check_rises(counts, {3, 2, 0, true}, false);
  check_least_squares(bends);
  check_threads(lines, {2, 2, 1, false});
  check_threads(counts, {3, 2, 0, true});
  check_what_comes_to_nothing();
  check_arguments();
  std::puts("mixture: passed");
}
