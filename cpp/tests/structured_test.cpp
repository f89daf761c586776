// Structured covariances: the objective and its gradient against dense algebra, no allocation, and
// a search that finds the same minimum from every start.
#include "check.hpp"
#include "ranef/structured_search.hpp"

using namespace ranef;

namespace {

constexpr Correlation kAll[] = {Correlation::kIndependence, Correlation::kExchangeable,
                                Correlation::kAr1,          Correlation::kCar1,
                                Correlation::kToeplitz,     Correlation::kUnstructured};

// Units of 2 to 4 rows at places of 0 to 3; with `alike`, many units of each pattern.
StructuredInput random_input(unsigned seed, Index units, Correlation kind, bool alike) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> place;
  std::vector<std::int32_t> start{0}, cluster;
  for (Index u = 0; u < units; ++u) {
    const Index gap = alike ? u % 4 : Index(random() % 4);
    for (Index t = 0; t < 4; ++t) {
      if (t == gap && u % 3 != 0) continue;
      place.push_back(double(t));
      cluster.push_back(static_cast<std::int32_t>(u));
    }
    start.push_back(static_cast<std::int32_t>(place.size()));
  }
  const Index n = static_cast<Index>(place.size());
  StructuredInput input;
  input.y = Vector::NullaryExpr(n, [&] { return normal(random); });
  input.X = Matrix::NullaryExpr(n, 3, [&] { return normal(random); });
  input.X.col(0).setOnes();
  input.start = Eigen::Map<Int32Array>(start.data(), static_cast<Index>(start.size()));
  input.cluster = Eigen::Map<Int32Array>(cluster.data(), n);
  input.place = Eigen::Map<Vector>(place.data(), n);
  input.n_places = input.largest = 4;
  input.correlation = kind;
  input.log_scale = Vector::Zero(n);
  input.D = input.place;
  StructuredTerm term{input.cluster, Matrix::Ones(n, 2), {0, 0}};
  term.z.col(1) = input.place;
  input.terms.push_back(term);
  return input;
}

Vector random_parameters(unsigned seed, Index m) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0.0, 0.4);
  return Vector::NullaryExpr(m, [&] { return normal(random); });
}

// -2 log-likelihood, sigma profiled out, from the whole V; covariances of units come from the
// model.
double dense_objective(Structured& model, const StructuredInput& input, const Vector& psi,
                       bool reml) {
  const Index n = input.y.size(), p = input.X.cols();
  Matrix V = Matrix::Zero(n, n), block, residual;
  for (Index u = 0; u + 1 < input.start.size(); ++u) {
    const Index first = input.start(u), size = input.start(u + 1) - first;
    model.covariances(model.pattern_of_unit()[static_cast<std::size_t>(u)], psi, block, residual);
    const Matrix Z = input.terms[0].z.middleRows(first, size), lambda = model.lambda(0, psi);
    CHECK((block - residual - Z * lambda * lambda.transpose() * Z.transpose()).norm() < 1e-12);
    V.block(first, first, size, size) = block;
  }
  const Matrix inverse = V.llt().solve(Matrix::Identity(n, n)),
               A = input.X.transpose() * inverse * input.X;
  const Vector beta = A.ldlt().solve(input.X.transpose() * inverse * input.y);
  const Vector r = input.y - input.X * beta;
  const double nu = double(n - (reml ? p : 0)), rss = r.dot(inverse * r);
  const double logdet = 2.0 * Matrix(V.llt().matrixL()).diagonal().array().log().sum();
  const double restricted = 2.0 * Matrix(A.llt().matrixL()).diagonal().array().log().sum();
  return logdet + (reml ? restricted : 0.0) +
         nu * (1.0 + std::log(2.0 * 3.14159265358979323846 * rss / nu));
}

void check_objective_and_gradient(Correlation kind, bool alike, bool reml) {
  const StructuredInput input = random_input(3, alike ? 100 : 15, kind, alike);
  Structured model(input);
  if (alike) CHECK(model.n_patterns() < 13);
  const Vector psi = random_parameters(5, model.n_parameters());
  CHECK(model.evaluate(psi, reml));
  CHECK_CLOSE(model.point().objective, dense_objective(model, input, psi, reml), 1e-11);
  Vector g(psi.size());
  model.evaluate(psi, reml);
  model.gradient(g);
  for (Index a = 0; a < psi.size(); ++a) {
    Vector up = psi, down = psi;
    up(a) += 1e-5;
    down(a) -= 1e-5;
    model.evaluate(up, reml);
    const double high = model.point().objective;
    model.evaluate(down, reml);
    CHECK_CLOSE(g(a), (high - model.point().objective) / 2e-5, 1e-5);
  }
}

void check_no_allocation(Correlation kind) {
  const StructuredInput input = random_input(4, 30, kind, true);
  Structured model(input);
  const Vector psi = random_parameters(6, model.n_parameters());
  Vector g(psi.size());
  model.evaluate(psi, true);
  model.gradient(g);
  Eigen::internal::set_is_malloc_allowed(false);
  const bool holds = model.evaluate(psi, true);
  model.gradient(g);
  Eigen::internal::set_is_malloc_allowed(true);
  CHECK(holds);
}

// From any start the same minimum, a proper one, and no point around it is lower.
void check_search(Correlation kind) {
  StructuredInput input = random_input(9, 60, kind, true);
  for (Index i = 1; i < input.y.size(); ++i)  // neighbours resemble each other
    if (input.cluster(i) == input.cluster(i - 1)) input.y(i) += 0.7 * input.y(i - 1);
  if (kind != Correlation::kIndependence) input.terms.clear();  // which the correlation may hold
  Structured model(input);
  StructuredFit best;
  for (unsigned seed = 0; seed < 2; ++seed) {
    const std::vector<Vector> starts{random_parameters(seed, model.n_parameters())};
    const StructuredFit fit = structured_fit(model, starts, true, {});
    CHECK(fit.status == Status::kConverged);
    CHECK(fit.lowest > -1e-6);
    if (seed == 0) best = fit;
    if (fit.point.objective < best.point.objective) best = fit;
  }
  const std::vector<Vector> starts{best.psi, random_parameters(11, model.n_parameters())};
  const StructuredFit again = structured_fit(model, starts, true, {});
  CHECK(again.point.objective < best.point.objective + 1e-7);
  for (unsigned seed = 20; seed < 40; ++seed) {
    model.evaluate(best.psi + 0.05 * random_parameters(seed, model.n_parameters()), true);
    CHECK(model.point().objective > best.point.objective - 1e-7);
  }
}

// Every parameter vector gives a correlation matrix, and Toeplitz and unstructured ones have their
// range: partial correlations of one sign, rows of any direction.
void check_positive(Correlation kind) {
  CorrelationFamily family(kind, 5, 5);
  for (unsigned seed = 0; seed < 50; ++seed) {
    family.set(3.0 * random_parameters(seed, family.n_parameters()));
    Matrix C = Matrix::Identity(5, 5);
    for (Index i = 0; i < 5; ++i)
      for (Index j = 0; j < i; ++j) C(i, j) = C(j, i) = family.at(double(i), double(j));
    CHECK(Eigen::SelfAdjointEigenSolver<Matrix>(C).eigenvalues()(0) > -1e-12);
  }
}

void check_least_squares() {
  StructuredInput input = random_input(1, 20, Correlation::kIndependence, true);
  input.terms.clear();
  input.D = Matrix(input.y.size(), 0);
  Structured model(input);
  CHECK(model.n_parameters() == 0);
  const StructuredFit fit = structured_fit(model, {Vector(0)}, true, {});
  CHECK(fit.status == Status::kConverged);
  const Vector beta = input.X.colPivHouseholderQr().solve(input.y);
  CHECK_CLOSE((fit.point.beta - beta).norm(), 0.0, 1e-10);
  CHECK_CLOSE(fit.point.rss, (input.y - input.X * beta).squaredNorm(), 1e-10);
}

}  // namespace

int main() {
  for (const Correlation kind : kAll) {
    for (const bool alike : {false, true})
      for (const bool reml : {false, true}) check_objective_and_gradient(kind, alike, reml);
    check_no_allocation(kind);
    check_search(kind);
    check_positive(kind);
  }
  check_least_squares();
  std::puts("structured: passed");
}
