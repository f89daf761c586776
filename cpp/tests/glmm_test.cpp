// Laplace's approximation against dense arithmetic, its gradient against differences, and a plan
// that takes new values against one made for them.
#include "ranef/glmm.hpp"

#include "check.hpp"
#include "ranef/glmm_search.hpp"

using namespace ranef;
using namespace ranef::test;

namespace {

Input without_response(const Rows& rows) {
  Input input = rows.input;
  input.y = nullptr;
  input.weights = nullptr;
  return input;
}

ResponseRows counts(Index n, unsigned seed) {
  std::mt19937 random(seed);
  std::poisson_distribution<int> poisson(2.0);
  ResponseRows out{Vector(n), Vector::Ones(n)};
  for (Index i = 0; i < n; ++i) out.y(i) = poisson(random);
  return out;
}

GlmmParameters random_parameters(const Glmm& model, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  GlmmParameters at;
  at.theta = Vector::NullaryExpr(static_cast<Index>(model.parameters().size()),
                                 [&] { return 0.4 * normal(random); });
  at.beta.resize(static_cast<Index>(model.basis().kept.size()));
  at.beta << 0.7, 0.1, -0.2;
  at.dispersion = 1.5;
  return at;
}

// -2 log-likelihood of counts with a dense Z Lambda, Newton's method from zero.
double dense_laplace(const Input& input, const Glmm& model, const ResponseRows& rows,
                     const GlmmParameters& at) {
  const Matrix X = dense_columns(input, input.fixed);
  const Index p = X.cols();
  const Vector fixed = X * (model.basis().T.topLeftCorner(p, p) * at.beta);
  const std::vector<Matrix> lambda = model.lambda(at.theta, false);
  Index q = 0;
  for (const TermInput& term : input.terms)
    q += term.n_levels * static_cast<Index>(term.columns.size());
  Matrix ZL = Matrix::Zero(input.n, q);
  Index offset = 0;
  for (std::size_t t = 0; t < lambda.size(); ++t) {
    const Matrix z = dense_columns(input, input.terms[t].columns) * lambda[t];
    for (Index i = 0; i < input.n; ++i)
      ZL.row(i).segment(offset + input.terms[t].codes[i] * z.cols(), z.cols()) = z.row(i);
    offset += input.terms[t].n_levels * z.cols();
  }
  Vector u = Vector::Zero(q), mu;
  Matrix M;
  for (int step = 0; step < 60; ++step) {
    mu = (fixed + ZL * u).array().exp();
    M = Matrix::Identity(q, q) + ZL.transpose() * mu.asDiagonal() * ZL;
    const Vector change = M.llt().solve(ZL.transpose() * (rows.y - mu) - u);
    u += std::min(1.0, 1.0 / change.norm()) * change;
    if (change.norm() < 1e-13 * (1.0 + u.norm())) break;
  }
  const Vector eta = fixed + ZL * u;
  double l = 0.0;
  for (Index i = 0; i < input.n; ++i)
    l += rows.y(i) * eta(i) - std::exp(eta(i)) - std::lgamma(rows.y(i) + 1.0);
  return -2.0 * l + u.squaredNorm() +
         2.0 * Matrix(M.llt().matrixL()).diagonal().array().log().sum();
}

void check_against_dense(const std::vector<TermShape>& shapes, Index n, bool nested) {
  const Rows random = random_rows(3, n, shapes, false, nested);
  const Input input = without_response(random);
  const ResponseRows rows = counts(n, 5);
  Glmm model(input, {Distribution::poisson, Link::log}, rows, Vector::Zero(n));
  const GlmmParameters at = random_parameters(model, 7);
  CHECK_CLOSE(model.evaluate(at).value, dense_laplace(input, model, rows, at), 1e-9);
}

// By Laplace's approximation, or by quadrature of three points.
void check_gradient(const std::vector<TermShape>& shapes, Index n, bool nested, bool joint,
                    bool quadrature = false) {
  const Rows random = random_rows(4, n, shapes, false, nested);
  Glmm model(without_response(random), {Distribution::negative_binomial, Link::log}, counts(n, 6),
             Vector::Constant(n, 0.1));
  GlmmParameters at = random_parameters(model, 8);
  if (joint) at.beta.resize(0);
  const Index m = at.theta.size(), p = at.beta.size();
  HermiteRule rule{Vector(3), Vector(3)};
  rule.nodes << -std::sqrt(1.5), 0.0, std::sqrt(1.5);
  rule.weights << std::sqrt(M_PI) / 6.0, 2.0 * std::sqrt(M_PI) / 3.0, std::sqrt(M_PI) / 6.0;
  const auto value = [&](Index j, double h) {
    GlmmParameters moved = at;
    if (j < m)
      moved.theta(j) += h;
    else if (j < m + p)
      moved.beta(j - m) += h;
    else
      moved.dispersion *= std::exp(h);
    const double laplace = model.evaluate(moved).value;
    return quadrature ? laplace + model.quadrature(rule).value : laplace;
  };
  model.evaluate(at);
  const Vector gradient = quadrature ? model.quadrature(rule).gradient : model.gradient();
  CHECK(gradient.size() == m + p + 1);
  for (Index j = 0; j < gradient.size(); ++j) {
    const auto between = [&](double h) { return (value(j, h) - value(j, -h)) / (2.0 * h); };
    const double slope = (4.0 * between(1e-3) - between(2e-3)) / 3.0;
    CHECK(std::abs(slope - gradient(j)) < 1e-6 * (1.0 + gradient.norm()));
  }
}

// A level that was not seen adds its variance, whatever the other terms.
void check_predictions(const std::vector<TermShape>& shapes, Index n, bool nested) {
  const Rows random = random_rows(3, n, shapes, false, nested);
  const Input input = without_response(random);
  Glmm model(input, {Distribution::poisson, Link::log}, counts(n, 5), Vector::Zero(n));
  const GlmmParameters at = random_parameters(model, 7);
  model.evaluate(at);
  const Index p = at.beta.size();
  const Matrix X = Matrix::Ones(2, p), cov = Matrix::Identity(p, p);
  std::vector<NewTerm> terms;
  const std::int32_t codes[] = {-1, 3};
  double expected = static_cast<double>(p);
  for (const Matrix& factor : model.lambda(at.theta, false)) {
    terms.push_back({codes, Matrix::Ones(2, factor.rows())});
    expected += factor.colwise().sum().squaredNorm();
  }
  const Vector variances = model.prediction_variances(X, cov, terms);
  CHECK_CLOSE(variances(0), expected, 1e-9);
  CHECK(variances(1) > 0.0);
}

// The gamma functions of counts against sums in long double, and their slope against differences.
void check_rising() {
  for (const double k : {1e-3, 0.7, 5.0, 1e3, 1e7, 1e11}) {
    for (const double y : {0.0, 1.0, 7.0, 63.0, 200.0, 70000.0}) {
      long double sum = 0.0L, slope = 0.0L;
      for (long double j = 0.0L; j < y; j += 1.0L) {
        sum += log1pl(j / k);
        slope -= j / (k + j);
      }
      const double rounding = 1e-13 + 1e-15 * y;
      CHECK_CLOSE(rising_sum(y, k).value, double(sum), rounding);
      CHECK_CLOSE(rising_sum(y, k).by_log, double(slope), rounding);
    }
    const double y = 12.5, base = std::max(k, 1.0);
    if (k > 1e6) continue;  // the reference loses its digits
    const long double direct = lgammal(y + (long double)k) - lgammal(k) - y * logl(k);
    CHECK_CLOSE(rising_sum(y, k).value, double(direct), 1e-10 * base);
  }
  Vector y(6), weights(6);
  y << 0.0, 3.0, 3.0, 17.0, 4097.0, 90000.0;
  weights << 1.0, 2.0, 0.5, 1.0, 3.0, 1.0;
  const Counted counts(y, weights);
  for (const double k : {0.3, 20.0, 1e9}) {
    Rising expected{0.0, 0.0};
    for (Index i = 0; i < y.size(); ++i) {
      expected.value += weights(i) * rising_sum(y(i), k).value;
      expected.by_log += weights(i) * rising_sum(y(i), k).by_log;
    }
    CHECK_CLOSE(counts.rising(k).value, expected.value, 1e-10);
    CHECK_CLOSE(counts.rising(k).by_log, expected.by_log, 1e-10);
  }
  double factorials = 0.0;
  for (Index i = 0; i < y.size(); ++i) factorials += weights(i) * std::lgamma(y(i) + 1.0);
  CHECK_CLOSE(counts.log_factorials(), factorials, 1e-12);
  y(1) = 2.5;
  CHECK(Counted(y, weights).is_empty());
}

// Rows in whichever order, one optimum; its gradient vanishes, and no point near by is lower.
void check_search(const std::vector<TermShape>& shapes, Index n, bool nested) {
  const Rows random = random_rows(4, n, shapes, false, nested);
  const Likelihood likelihood{Distribution::negative_binomial, Link::log};
  const ResponseRows rows = counts(n, 6);
  Glmm model(without_response(random), likelihood, rows, Vector::Zero(n));
  const double start = std::log(starting_dispersion(likelihood, rows.y));
  const GlmmOptimum found = search(model, start, {});
  CHECK(found.status == GlmmStatus::kConverged);
  GlmmParameters at{found.theta, found.beta, found.dispersion};
  CHECK_CLOSE(model.evaluate(at).value, found.value, 1e-12);
  CHECK(model.gradient().norm() < 1e-3);
  for (Index j = 0; j < at.beta.size(); ++j)
    for (const double h : {-0.05, 0.05}) {
      GlmmParameters moved = at;
      moved.beta(j) += h;
      CHECK(model.evaluate(moved).value > found.value - 1e-9);
    }
  // the linear predictor comes back in the order that rows were given in
  model.evaluate(at);
  const Vector eta = model.eta();
  Glmm other(without_response(random), likelihood, rows, eta);
  at.beta.setZero();
  at.theta.setZero();
  CHECK_CLOSE(other.evaluate(at).log_likelihood,
              model.evaluate({found.theta, found.beta, found.dispersion}).log_likelihood, 1e-10);
}

// A plan that takes other weights is the plan made for them.
void check_renewal(const std::vector<TermShape>& shapes, Index n, bool nested) {
  const Rows rows = random_rows(9, n, shapes, true, nested);
  Input plain = rows.input;
  plain.weights = nullptr;
  const Shifts shifts = choose_shifts(plain);
  std::vector<std::vector<int>> blocks;
  for (const TermInput& term : plain.terms) blocks.push_back(term.blocks);
  Pls fresh(accumulate(rows.input, shifts), blocks), renewed(accumulate(plain, shifts), blocks);
  renewed.renew(accumulate(rows.input, shifts));
  const std::vector<Matrix> lambda = random_factors(10, plain);
  const Objective a = fresh.objective(lambda, true), b = renewed.objective(lambda, true);
  CHECK(a.value == b.value);
  CHECK_CLOSE(renewed.factor(lambda), a.logdet_L, 1e-14);
}

}  // namespace

int main() {
  const std::vector<std::pair<std::vector<TermShape>, bool>> cases = {
      {{{12, 1}}, false},
      {{{10, 3}}, false},
      {{{8, 5}}, false},
      {{{30, 1}, {8, 1}}, false},           // dense root, dense coupling
      {{{70, 1}, {50, 1}}, false},          // sparse coupling
      {{{20, 2}, {10, 3}, {6, 1}}, false},  // vector terms everywhere
      {{{52, 2}, {26, 2}}, true},           // nested: sparse root
      {{{64, 1}, {32, 1}, {20, 1}}, true},
  };
  for (const auto& [shapes, nested] : cases) {
    check_against_dense(shapes, 160, nested);
    for (bool joint : {false, true}) check_gradient(shapes, 160, nested, joint);
    check_renewal(shapes, 160, nested);
    check_predictions(shapes, 160, nested);
  }
  check_rising();
  check_search({{12, 1}}, 240, false);
  check_search({{30, 1}, {8, 1}}, 240, false);
  for (int k : {1, 2, 3}) check_gradient({{12, k}}, 120, false, false, true);
  std::puts("glmm: passed");
}
