// The search: minima of random models, boundaries, and what must not stop it.
#include "check.hpp"
#include "ranef/lmm.hpp"

using namespace ranef;
using namespace ranef::test;

namespace {

// Rows of a balanced one-way layout whose group means are given; the optimum is known in closed
// form.
Rows one_way(Index groups, Index each, double between) {
  Rows rows;
  const Index n = groups * each;
  rows.y.resize(n);
  rows.codes.resize(1);
  for (Index i = 0; i < n; ++i) {
    const Index g = i / each, r = i % each;
    rows.codes[0].push_back(static_cast<std::int32_t>(g));
    rows.y(i) = between * std::sin(3.0 * double(g)) + std::cos(5.0 * double(r) + double(g));
  }
  rows.input.n = n;
  rows.input.y = rows.y.data();
  rows.input.fixed = {kIntercept};
  rows.input.terms.push_back({rows.codes[0].data(), groups, {kIntercept}, {0}});
  return rows;
}

// Balanced one-way REML: sigma^2 = MSE and sigma_b^2 = max(0, (MSB - MSE) / each).
void check_one_way(double between) {
  const Index groups = 15, each = 6;
  const Rows rows = one_way(groups, each, between);
  const double mean = rows.y.mean();
  double msb = 0.0, mse = 0.0;
  for (Index g = 0; g < groups; ++g) {
    const auto y = rows.y.segment(g * each, each);
    msb += double(each) * std::pow(y.mean() - mean, 2) / double(groups - 1);
    mse += (y.array() - y.mean()).square().sum() / double(groups * (each - 1));
  }
  Lmm model(rows.input);
  const Estimate fit = model.fit(true, {}, {});
  CHECK(fit.status == Status::kConverged);
  if (msb > mse) {
    CHECK_CLOSE(fit.sigma, std::sqrt(mse), 1e-6);
    CHECK_CLOSE(std::pow(fit.sigma * fit.lambda[0](0, 0), 2), (msb - mse) / double(each), 1e-5);
  } else {
    CHECK(fit.lambda[0](0, 0) == 0.0);
    CHECK_CLOSE(fit.sigma,
                std::sqrt((rows.y.array() - mean).square().sum() / double(rows.input.n - 1)), 1e-9);
  }
}

// From any start the same optimum, and no point around it is lower.
void check_starts(const std::vector<TermShape>& shapes, bool nested) {
  for (unsigned seed = 1; seed <= 4; ++seed) {
    const Rows rows = random_rows(seed, 300, shapes, seed % 2 == 0, nested);
    Lmm model(rows.input);
    const Estimate best = model.fit(true, {}, {});
    CHECK(best.status == Status::kConverged);
    for (unsigned start = 0; start < 5; ++start) {
      const Estimate other = model.fit(true, {}, random_factors(10 + start, rows.input));
      CHECK_CLOSE(other.objective, best.objective, 1e-9);
    }
    for (unsigned direction = 0; direction < 20; ++direction) {
      std::vector<Matrix> near = best.lambda_standard;
      const std::vector<Matrix> away = random_factors(100 + direction, rows.input);
      for (std::size_t t = 0; t < near.size(); ++t)
        near[t] += (direction % 2 ? 0.02 : -0.02) * away[t];
      CHECK(model.objective_standard(near, true) > best.objective - 1e-7);
    }
  }
}

}  // namespace

int main() {
  check_one_way(2.0);
  check_one_way(0.5);
  check_one_way(0.0);
  check_starts({{20, 2}}, false);
  check_starts({{15, 3}, {8, 1}}, false);
  check_starts({{120, 1}, {60, 1}, {10, 1}}, true);
  std::puts("search: passed");
}
