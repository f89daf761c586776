// The iterative kernel against dense algebra.
#include <random>

#include "check.hpp"
#include "ranef/crossed_pls.hpp"
#include "ranef/interrupt.hpp"
#include "ranef/lmm.hpp"
#include "ranef/pls.hpp"

using namespace ranef;
using namespace ranef::test;

namespace {

Vector eigenvalues(const Matrix& T) {
  return Eigen::SelfAdjointEigenSolver<Matrix>(T).eigenvalues();
}

// Weighted rows of crossed terms of one column each, the second one of `sloped` a covariate.
Rows crossed_rows(unsigned seed, Index n, const std::vector<Index>& levels, bool weighted,
                  bool sloped = false) {
  std::vector<TermShape> shapes;
  for (Index l : levels) shapes.push_back({l, 1});
  Rows rows = random_rows(seed, n, shapes, weighted);
  if (sloped) rows.input.terms[1].columns = {2};
  return rows;
}

CrossProducts standard_products(const Rows& rows) {
  const Shifts shifts = choose_shifts(rows.input);
  CrossProducts products = accumulate(rows.input, shifts);
  standardise(rows.input, shifts, products);
  return products;
}

std::vector<std::vector<int>> blocks_of(const Rows& rows) {
  std::vector<std::vector<int>> blocks;
  for (const TermInput& term : rows.input.terms) blocks.push_back(term.blocks);
  return blocks;
}

CrossedGraph graph_of(const Rows& rows, const std::vector<double>& lambda, int threads = 1) {
  CrossProducts products = standard_products(rows);
  CrossedGraph graph(products, threads);
  graph.set(lambda);
  return graph;
}

// T column by column.
Matrix dense_T(const CrossedGraph& graph) {
  GraphProduct product;
  graph.apply(RowMatrix::Identity(graph.n_root(), graph.n_root()), product);
  return product.y;
}

// Omega built from n by q matrices, its Schur complement scaled by its own diagonal.
void check_operator(const std::vector<Index>& levels, bool weighted, bool sloped) {
  const Rows rows = crossed_rows(3, 150, levels, weighted, sloped);
  std::vector<double> lambda;
  for (std::size_t t = 0; t < levels.size(); ++t) lambda.push_back(0.4 + 0.3 * double(t));
  const CrossedGraph graph = graph_of(rows, lambda);
  const Shifts shifts = choose_shifts(rows.input);
  CrossProducts products = accumulate(rows.input, shifts);
  const StandardBasis basis = standardise(rows.input, shifts, products);
  Index q = 0;
  for (Index l : levels) q += l;
  Matrix Z = Matrix::Zero(rows.input.n, q);
  Index first = 0;
  for (std::size_t t = 0; t < levels.size(); first += levels[t++])
    for (Index i = 0; i < rows.input.n; ++i) {
      const int reference = rows.input.terms[t].columns[0];
      const double z = reference == kIntercept ? 1.0 : rows.input.columns[reference][i];
      const double w = rows.input.weights ? rows.input.weights[i] : 1.0;
      Z(i, first + rows.input.terms[t].codes[i]) = std::sqrt(w) * z * basis.Tz[t](0, 0) * lambda[t];
    }
  const Matrix omega = Z.transpose() * Z + Matrix::Identity(q, q);
  const Index r = levels[0], c = q - r;
  const Matrix schur = omega.bottomRightCorner(c, c) - omega.bottomLeftCorner(c, r) *
                                                           omega.topLeftCorner(r, r).inverse() *
                                                           omega.topRightCorner(r, c);
  const Vector scale = omega.diagonal().tail(c).array().rsqrt();
  const Matrix want = Matrix::Identity(c, c) - scale.asDiagonal() * schur * scale.asDiagonal();
  CHECK((dense_T(graph) - want).norm() < 1e-9 * want.norm());
  const double logdet = 2.0 * Matrix(omega.llt().matrixL()).diagonal().array().log().sum();
  const double ours = graph.d1().array().log().sum() + graph.d2().array().log().sum() +
                      (1.0 - eigenvalues(dense_T(graph)).array()).log().sum();
  CHECK_CLOSE(ours, logdet, 1e-10);

  RowMatrix X = RowMatrix::Zero(c, 3), R;
  const RowMatrix B = RowMatrix::Random(c, 3);
  CHECK(graph.solve(B, 1e-11, X, R) < 1e-11);
  CHECK((Matrix::Identity(c, c) - want).llt().solve(Matrix(B)).isApprox(Matrix(X), 1e-8));
}

void check_polynomial() {
  for (int order : {2, 3})
    for (double low : {0.0, -0.9}) {
      const CrossedPolynomial p = fit_polynomial(order, low, 0.6, 1e-9, 40);
      const auto at = [&](double x) {
        const double s = (x - p.centre()) / p.half_width();
        double sum = 0.0;
        for (Index j = 0; j <= p.degree(); ++j)
          sum += p.coefficient(j) * std::cos(double(j) * std::acos(std::clamp(s, -1.0, 1.0)));
        return sum;
      };
      for (double x = low; x <= 0.6; x += 0.05) {
        double want = -std::log1p(-x) - x - (order == 3 ? 0.5 * x * x : 0.0);
        CHECK(std::abs(at(x) - want) <= 2e-9 * std::pow(std::abs(x), order) + 1e-13);
        for (double y : {low, 0.1, 0.59}) {
          if (std::abs(x - y) < 1e-6) continue;
          double difference = 0.0;
          for (Index j = 0; j < p.degree(); ++j)
            for (Index k = 0; k < p.degree(); ++k)
              difference += p.difference(j, k) *
                            std::cos(double(j) * std::acos((x - p.centre()) / p.half_width())) *
                            std::cos(double(k) * std::acos((y - p.centre()) / p.half_width()));
          CHECK(std::abs(difference - (at(x) - at(y)) / (x - y)) < 1e-7);
        }
      }
    }
}

RowMatrix solved(const CrossedGraph& graph, const RowMatrix& V) {
  RowMatrix X = V, R;
  graph.solve(V, 1e-13, X, R);
  return X;
}

// With many probes the estimate is the dense value to within its own error, and its derivatives
// are those of the sampled value.
void check_logdet(const std::vector<Index>& levels, bool exact_second) {
  const Rows rows = crossed_rows(5, 1200, levels, true);
  std::vector<double> lambda(levels.size(), 0.8);
  CrossedGraph graph = graph_of(rows, lambda);
  CHECK(graph.has_root_pairs() == (levels.size() > 2));
  LogdetSettings settings;
  settings.seed = 7;
  settings.n_probes = 64;
  settings.exact_second = exact_second;
  CrossedLogdet logdet;
  logdet.deflate(graph, settings, 16);
  logdet.choose_polynomial(graph, exact_second);
  LogdetError error;
  const Logdet ours = logdet.value(graph, settings, solved(graph, logdet.V()), &error);
  CHECK(error.growth < 1.05);
  const double want = (1.0 - eigenvalues(dense_T(graph)).array()).log().sum();
  const double sd = std::sqrt(error.variance);
  CHECK(sd > 0.0 && sd < 1.0);
  CHECK(std::abs(ours.value - want) < 4.0 * sd + error.bias);
  for (std::size_t t = 0; t < lambda.size(); ++t) {
    const auto moved = [&](double h) {
      std::vector<double> at = lambda;
      at[t] = std::sqrt(at[t] * at[t] + h);
      graph.set(at);
      return logdet.value(graph, settings, solved(graph, logdet.V()), nullptr).value;
    };
    const double h = 1e-3;
    const double slope =
        (8.0 * (moved(h) - moved(-h)) - (moved(2.0 * h) - moved(-2.0 * h))) / (12.0 * h);
    CHECK(std::abs(slope - ours.by_sigma(Index(t))) < 1e-6 * (1.0 + std::abs(slope)));
  }
}

// The reported standard deviation is that of the values over seeds. Few enough seeds for a build
// with sanitizers; the bounds are three standard deviations of a share of so many.
void check_reported_error(bool exact_second) {
  const Rows rows = crossed_rows(11, 1500, {220, 160}, false);
  const CrossedGraph graph = graph_of(rows, {0.7, 0.9});
  const double want = (1.0 - eigenvalues(dense_T(graph)).array()).log().sum();
  LogdetSettings settings;
  settings.exact_second = exact_second;
  int within_one = 0, within = 0;
  const int repetitions = 80;
  for (int i = 0; i < repetitions; ++i) {
    settings.seed = 1000 + std::uint64_t(i);
    CrossedLogdet logdet;
    logdet.deflate(graph, settings, 16);
    logdet.choose_polynomial(graph, exact_second);
    LogdetError error;
    const Logdet ours = logdet.value(graph, settings, solved(graph, logdet.V()), &error);
    const double z =
        std::abs(ours.value - want) / std::hypot(std::sqrt(error.variance), error.bias);
    within_one += z < 1.0;
    within += z < 2.0;
  }
  std::printf("crossed: %.3f within one, %.3f within two reported standard deviations\n",
              within_one / double(repetitions), within / double(repetitions));
  CHECK(within_one > 0.52 * repetitions && within_one < 0.84 * repetitions);
  CHECK(within > 0.88 * repetitions);
}

// Right sides of any size and tolerance in one block: each is solved as it is alone, and ends.
void check_block_solve(const std::vector<Index>& levels) {
  std::vector<double> lambda{0.9, 0.7, 0.5};
  lambda.resize(levels.size());
  const CrossedGraph graph = graph_of(crossed_rows(5, 900, levels, true), lambda);
  const Index C = graph.n_root();
  const Vector scale = (Vector(5) << 1e-12, 1.0, 0.0, 1e9, 1e-3).finished();
  const Vector tolerance = (Vector(5) << 1e-3, 1e-12, 1e-9, 1e-6, 1.0).finished();
  RowMatrix B(C, 5);
  for (Index m = 0; m < C; ++m)
    for (Index j = 0; j < 5; ++j)
      B(m, j) = scale(j) * probe_sign(3, std::uint64_t(j), std::uint64_t(m));
  RowMatrix X = RowMatrix::Zero(C, 5), R;
  graph.solve(B, tolerance, X, R);
  const Matrix A = Matrix::Identity(C, C) - dense_T(graph);
  for (Index j = 0; j < 5; ++j) {
    CHECK((B.col(j) - A * X.col(j)).norm() <= 1.01 * tolerance(j) * B.col(j).norm() + 1e-300);
    RowMatrix own = RowMatrix::Zero(C, 1), left;
    graph.solve(RowMatrix(B.col(j)), Vector(tolerance.segment(j, 1)), own, left);
    CHECK((own.col(0) - X.col(j)).norm() <= 1e-13 * X.col(j).norm());
  }
}

void check_second_moment() {
  const CrossedGraph graph = graph_of(crossed_rows(6, 400, {70, 60}, true), {0.6, 0.8});
  const Matrix T = dense_T(graph);
  const SecondMoment ours = second_moment(graph);
  CHECK_CLOSE(ours.trace, T.squaredNorm(), 1e-12);
  CHECK((ours.diagonal - Vector((T * T).diagonal())).norm() < 1e-12 * ours.diagonal.norm());
  CHECK((product_diagonal(graph) - Vector(T.diagonal())).norm() < 1e-12);
}

// Where few columns share several rows the moment is made of closed forms and of those that do.
void check_meetings() {
  const CrossedGraph graph = graph_of(crossed_rows(6, 170, {70, 60}, true), {0.6, 0.8});
  const Meetings meetings = find_meetings(graph);
  CHECK(meetings.are_known && !meetings.pair.empty());
  const Matrix T = dense_T(graph);
  const SecondMoment ours = second_moment(graph, meetings), walked = second_moment(graph);
  CHECK_CLOSE(ours.trace, T.squaredNorm(), 1e-12);
  CHECK((ours.diagonal - Vector((T * T).diagonal())).norm() < 1e-12 * ours.diagonal.norm());
  CHECK((ours.by_sigma - walked.by_sigma).norm() < 1e-12 * walked.by_sigma.norm());
  const CrossedGraph dense = graph_of(crossed_rows(6, 2000, {40, 60}, true), {0.6, 0.8});
  CHECK(!find_meetings(dense).are_known);
}

// New rows: more than are solved for together, levels without part, and a term without part.
void check_variances(Pls& exact, CrossedPls& ours, const std::vector<Matrix>& lambda) {
  constexpr Index kRows = 150;
  std::mt19937 random(12);
  std::normal_distribution<double> normal;
  std::vector<std::vector<std::int32_t>> levels;
  std::vector<const std::int32_t*> codes;
  std::vector<RowMatrix> z;
  for (std::size_t t = 0; t < lambda.size(); ++t) {
    std::uniform_int_distribution<std::int32_t> level(-1, std::int32_t(exact.n_levels(t)) - 1);
    std::vector<std::int32_t> of_term(kRows);
    for (std::int32_t& code : of_term) code = level(random);
    levels.push_back(std::move(of_term));
    z.push_back(RowMatrix::NullaryExpr(kRows, 1, [&] { return normal(random); }));
  }
  for (const auto& of_term : levels) codes.push_back(of_term.data());
  for (std::size_t without = 0; without <= lambda.size(); ++without) {
    std::vector<const std::int32_t*> some = codes;
    if (without < lambda.size()) some[without] = nullptr;
    exact.objective(lambda, true);
    ours.objective(lambda, true);
    const Vector want = exact.variances(some, z, kRows), got = ours.variances(some, z, kRows);
    CHECK(want.maxCoeff() > 0.0 && (got - want).norm() < 1e-8 * want.norm());
  }
}

// A root small enough to be taken whole is exact: everything must be as the factor has it.
void check_against_factor(const std::vector<Index>& levels, bool weighted, bool sloped) {
  const Rows rows = crossed_rows(8, 500, levels, weighted, sloped);
  Pls exact(standard_products(rows), blocks_of(rows));
  CrossedPls ours(standard_products(rows), blocks_of(rows), {});
  std::vector<Matrix> lambda;
  for (std::size_t t = 0; t < levels.size(); ++t)
    lambda.push_back(Matrix::Constant(1, 1, 0.3 + 0.4 * double(t)));
  for (bool reml : {false, true}) {
    const Objective want = exact.objective(lambda, reml), got = ours.objective(lambda, reml);
    CHECK_CLOSE(got.value, want.value, 1e-10);
    CHECK_CLOSE(got.logdet_L, want.logdet_L, 1e-10);
    CHECK_CLOSE(got.logdet_RX, want.logdet_RX, 1e-10);
    CHECK_CLOSE(got.pwrss, want.pwrss, 1e-10);
    CHECK((ours.beta() - exact.beta()).norm() < 1e-8 * (1.0 + exact.beta().norm()));
    CHECK(ours.cov_beta_root().isApprox(exact.cov_beta_root(), 1e-8));
    const auto b = exact.modes(), v = ours.modes();
    for (std::size_t t = 0; t < b.size(); ++t) CHECK(v[t].isApprox(b[t], 1e-7));
    const auto N = exact.fixed_scores(), M = ours.fixed_scores();
    for (std::size_t t = 0; t < N.size(); ++t) CHECK(M[t].isApprox(N[t], 1e-7));
    CHECK(ours.quadratic_form(M).isApprox(exact.quadratic_form(N), 1e-7));
    const auto F = exact.fixed_rows(), G = ours.fixed_rows();
    for (std::size_t t = 0; t < F.size(); ++t) CHECK(G[t].isApprox(F[t], 1e-12));
    Derivatives d, e;
    exact.derivatives(reml, d);
    ours.derivatives(reml, e);
    for (std::size_t t = 0; t < N.size(); ++t) CHECK_CLOSE(e.S[t](0, 0), d.S[t](0, 0), 1e-7);
    CHECK((e.quadratic - d.quadratic).norm() < 1e-7 * d.quadratic.norm());
    CHECK((e.information - d.information).norm() < 1e-5 * d.information.norm());
  }
  exact.objective(lambda, true);
  ours.objective(lambda, true);
  const auto want = exact.conditional_covariances(), got = ours.conditional_covariances();
  for (std::size_t t = 0; t < want.size(); ++t) CHECK(got[t].isApprox(want[t], 1e-7));
  check_variances(exact, ours, lambda);
}

// A whole fit with probes against the exact one.
void check_fit(const std::vector<Index>& levels, bool reml) {
  Rows rows = crossed_rows(9, 8000, levels, true);
  std::mt19937 random(4);
  std::normal_distribution<double> normal;
  for (std::size_t t = 0; t < levels.size(); ++t) {
    Vector b = Vector::NullaryExpr(levels[t], [&] { return 2.0 * normal(random); });
    for (Index i = 0; i < rows.input.n; ++i) rows.y(i) += b(rows.codes[t][i]);
  }
  Lmm exact(rows.input);
  MethodSettings method;
  method.method = Method::kIterative;
  Lmm ours(rows.input, method);
  CHECK(ours.plan().is_iterative && !exact.plan().is_iterative);
  const Estimate want = exact.fit(reml, {}, {}), got = ours.fit(reml, {}, {});
  CHECK(got.status == Status::kConverged);
  const Approximation& a = got.approximation;
  if (!a.is_reached)
    std::printf("sd %g theta %g residual %g probes %d V %d degree %d second %d\n", a.value_sd,
                a.theta_sd, a.residual, a.n_probes, a.n_deflated, a.degree, a.exact_second);
  CHECK(a.is_reached && a.value_sd > 0.0 && a.value_sd < 0.05 && a.theta_sd < 0.01);
  CHECK(want.approximation.value_sd == 0.0 && want.approximation.n_probes == 0);
  CHECK(std::abs(got.objective - want.objective) < 4.0 * a.value_sd);
  const Matrix H = exact.curvature(want.lambda_standard, reml).hessian;
  for (std::size_t t = 0; t < levels.size(); ++t) {
    const double se = std::sqrt(2.0 * H.inverse()(Index(t), Index(t)));
    CHECK(std::abs(got.lambda_standard[t](0, 0) - want.lambda_standard[t](0, 0)) < 0.03 * se);
  }
  CHECK((got.beta - want.beta).norm() < 1e-3 * want.beta.norm());
  const auto V = exact.conditional_covariances(want.lambda_standard);
  const auto W = ours.conditional_covariances(want.lambda_standard);
  for (std::size_t t = 0; t < levels.size(); ++t) {
    CHECK((W[t] - V[t]).cwiseAbs().maxCoeff() < 0.05 * V[t].maxCoeff());
    CHECK(std::abs((W[t] - V[t]).mean()) < 2e-3 * V[t].mean());
  }
}

// The same bits for any number of threads.
void check_threads() {
  const Rows rows = crossed_rows(10, 20000, {3000, 2000}, false);
  MethodSettings one;
  one.method = Method::kIterative;
  MethodSettings three = one;
  three.crossed.threads = 3;
  const Estimate a = Lmm(rows.input, one).fit(true, {}, {});
  const Estimate b = Lmm(rows.input, three).fit(true, {}, {});
  CHECK(a.objective == b.objective && a.beta == b.beta && a.modes[0] == b.modes[0]);
  CHECK(a.lambda[0] == b.lambda[0] && a.approximation.value_sd == b.approximation.value_sd);
}

// The caller ends a fit between two products.
void check_interrupt() {
  const Rows rows = crossed_rows(10, 20000, {3000, 2000}, false);
  MethodSettings method;
  method.method = Method::kIterative;
  Lmm model(rows.input, method);
  int calls = 0;
  bool stopped = false;
  try {
    const Interruptible watch([&] {
      if (++calls > 1) throw std::runtime_error("enough");
    });
    model.fit(true, {}, {});
  } catch (const std::runtime_error&) {
    stopped = true;
  }
  CHECK(stopped && calls == 2);
}

}  // namespace

int main() {
  check_polynomial();
  check_operator({40, 30}, false, false);
  check_operator({40, 30}, true, true);
  check_operator({40, 20, 9}, true, false);
  check_second_moment();
  check_meetings();
  check_block_solve({80, 70});
  check_block_solve({60, 40, 20});
  check_logdet({200, 150}, false);
  check_logdet({200, 150}, true);
  check_logdet({200, 90, 40}, false);
  check_logdet({200, 60, 50, 40}, false);
  check_reported_error(false);
  check_reported_error(true);
  check_against_factor({60, 40}, false, false);
  check_against_factor({60, 40}, true, true);
  check_against_factor({60, 30, 12}, true, false);
  check_fit({300, 200}, true);
  check_fit({300, 200}, false);
  check_fit({300, 120, 60}, true);
  check_threads();
  check_interrupt();
  std::puts("crossed: passed");
}
