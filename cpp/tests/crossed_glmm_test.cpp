// The iterative kernel of generalised models: equal to the exact one where the deflation is
// complete, near it where it is not, and its gradient against differences of itself.
#include "ranef/crossed_glmm.hpp"

#include "check.hpp"

using namespace ranef;
using namespace ranef::test;

namespace {

Input without_response(const Rows& rows) {
  Input input = rows.input;
  input.y = nullptr;
  input.weights = nullptr;
  return input;
}

ResponseRows responses(const Likelihood& likelihood, Index n, unsigned seed) {
  std::mt19937 random(seed);
  std::poisson_distribution<int> poisson(2.0);
  ResponseRows out{Vector(n), Vector::Ones(n)};
  for (Index i = 0; i < n; ++i) {
    const double count = poisson(random);
    if (likelihood.distribution == Distribution::binomial)
      out.y(i) = count > 1.5 ? 1.0 : 0.0;
    else
      out.y(i) = likelihood.distribution == Distribution::gamma ? count + 0.3 : count;
  }
  return out;
}

struct Pair {
  Rows rows;
  Input input;
  ResponseRows response;
  Likelihood likelihood;

  Pair(const std::vector<Index>& levels, Index n, Likelihood of, unsigned seed)
      : rows(random_rows(seed, n, shapes(levels), false)),
        input(without_response(rows)),
        response(responses(of, n, seed + 1)),
        likelihood(of) {}

  static std::vector<TermShape> shapes(const std::vector<Index>& levels) {
    std::vector<TermShape> out;
    for (Index l : levels) out.push_back({l, 1});
    return out;
  }
  Glmm exact() const { return Glmm(input, likelihood, response, Vector::Constant(input.n, 0.1)); }
  CrossedGlmm iterative(int threads = 1) const {
    CrossedSettings settings;
    settings.threads = threads;
    return CrossedGlmm(input, likelihood, response, Vector::Constant(input.n, 0.1), settings);
  }
};

GlmmParameters somewhere(const Glmm& model, const Likelihood& likelihood, bool joint) {
  GlmmParameters at;
  at.theta.resize(static_cast<Index>(model.parameters().size()));
  for (Index a = 0; a < at.theta.size(); ++a) at.theta(a) = 0.5 + 0.2 * static_cast<double>(a);
  if (!joint) {
    at.beta.resize(static_cast<Index>(model.basis().kept.size()));
    at.beta << 0.5, 0.1, -0.2;
  }
  at.dispersion = likelihood.has_dispersion() ? 1.5 : 1.0;
  return at;
}

// A root of so few columns is deflated whole.
void check_equal(const std::vector<Index>& levels, Likelihood likelihood, bool joint) {
  const Pair pair(levels, 150, likelihood, 21);
  Glmm exact = pair.exact();
  CrossedGlmm ours = pair.iterative();
  const GlmmParameters at = somewhere(exact, likelihood, joint);
  const GlmmPoint want = exact.evaluate(at), got = ours.evaluate(at);
  CHECK_CLOSE(got.value, want.value, 1e-9);
  CHECK_CLOSE(got.penalty, want.penalty, 1e-7);
  const Vector a = exact.gradient(), b = ours.gradient();
  CHECK(a.size() == b.size());
  CHECK((a - b).norm() < 1e-6 * (1.0 + a.norm()));
  exact.evaluate(at);
  CHECK((exact.information_beta() - ours.information_beta()).norm() <
        1e-6 * exact.information_beta().norm());
  const auto V = exact.conditional_covariances(), W = ours.conditional_covariances();
  for (std::size_t t = 0; t < levels.size(); ++t) {
    CHECK((exact.modes()[t] - ours.modes()[t]).norm() < 1e-6 * (1.0 + exact.modes()[t].norm()));
    CHECK((V[t] - W[t]).norm() < 1e-5 * V[t].norm());
  }
  const std::int32_t codes[] = {-1, 3};
  std::vector<NewTerm> terms(levels.size(), NewTerm{codes, Matrix::Ones(2, 1)});
  const Index p = static_cast<Index>(exact.basis().kept.size());
  const Matrix X = Matrix::Ones(2, p), cov = 0.01 * Matrix::Identity(p, p);
  const Vector var = exact.prediction_variances(X, cov, terms);
  CHECK((var - ours.prediction_variances(X, cov, terms)).norm() < 1e-6 * var.norm());
}

// Value within the error that it reports; the gradient is that of the sample.
void check_sampled(const std::vector<Index>& levels, Likelihood likelihood, bool joint) {
  const Pair pair(levels, 500, likelihood, 31);
  Glmm exact = pair.exact();
  CrossedGlmm ours = pair.iterative();
  GlmmParameters at = somewhere(exact, likelihood, joint);
  const double want = exact.evaluate(at).value;
  const GlmmPoint got = ours.evaluate(at);
  const Approximation a = ours.approximation();
  CHECK(a.value_sd > 0.0 && a.value_sd < 2.0 && a.n_deflated < 40);
  CHECK(std::abs(got.value - want) < 4.0 * a.value_sd);
  const Vector gradient = ours.gradient();
  const Matrix parts = ours.gradient_parts(4);
  CHECK((parts.rowwise().mean() - gradient).norm() < 1e-6 * (1.0 + gradient.norm()));
  const Index m = at.theta.size(), p = at.beta.size();
  const auto value = [&](Index j, double h) {
    GlmmParameters moved = at;
    if (j < m)
      moved.theta(j) += h;
    else if (j < m + p)
      moved.beta(j - m) += h;
    else
      moved.dispersion *= std::exp(h);
    return ours.evaluate(moved).value;
  };
  for (Index j = 0; j < gradient.size(); ++j) {
    const double h = 2e-3;
    const auto between = [&](double s) { return (value(j, s) - value(j, -s)) / (2.0 * s); };
    const double slope = (4.0 * between(h) - between(2.0 * h)) / 3.0;
    CHECK(std::abs(slope - gradient(j)) < 1e-5 * (1.0 + gradient.norm()));
  }
}

// The same bits for any number of threads, and from what a fit hands on.
void check_same_bits() {
  const Pair pair({400, 300}, 2000, {Distribution::binomial, Link::logit}, 41);
  GlmmParameters at = somewhere(pair.exact(), pair.likelihood, false);
  CrossedGlmm one = pair.iterative(), three = pair.iterative(3), again = pair.iterative();
  const double value = one.evaluate(at).value;
  CHECK(three.evaluate(at).value == value);
  CHECK(one.gradient() == three.gradient());
  again.resume(one.approximation(), one.deflation());
  CHECK(again.evaluate(at).value == value);
}

}  // namespace

int main() {
  const Likelihood logistic{Distribution::binomial, Link::logit};
  const Likelihood counts{Distribution::negative_binomial, Link::log};
  check_equal({50, 30}, logistic, false);
  check_equal({50, 30}, counts, true);
  check_equal({40, 20, 9}, {Distribution::poisson, Link::log}, false);
  check_equal({40, 20, 9}, {Distribution::gamma, Link::log}, true);
  check_sampled({90, 70}, logistic, false);
  check_sampled({90, 70}, counts, true);
  check_sampled({80, 40, 30}, {Distribution::poisson, Link::log}, false);
  check_same_bits();
  std::puts("crossed_glmm: passed");
}
