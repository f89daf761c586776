// Batches against single fits, chunks against the whole, on every kind of plan.
#include "ranef/batch.hpp"

#include <algorithm>
#include <numeric>

#include "check.hpp"
#include "ranef/merge.hpp"

using namespace ranef;
using namespace ranef::test;

namespace {

const std::vector<std::vector<TermShape>> kShapes = {
    {{12, 1}}, {{12, 2}}, {{12, 4}}, {{20, 1}, {7, 1}}, {{15, 2}, {9, 1}, {4, 1}}};

// Responses around the rows' own; the last is constant.
Matrix responses(const Rows& rows, Index count) {
  std::mt19937 random(9);
  std::normal_distribution<double> normal;
  Matrix Y = Matrix::NullaryExpr(rows.y.size(), count, [&] { return 2.0 * normal(random); });
  Y.colwise() += rows.y;
  Y.col(count - 1).setConstant(5.0);
  return Y;
}

void batch_equals_single_fits(const Rows& rows, bool reml) {
  const Matrix Y = responses(rows, 6);
  BatchSettings settings;
  settings.reml = reml;
  settings.satterthwaite = true;
  settings.contrasts = Matrix::Identity(3, 3);
  Batch batch(rows.input);
  Team alone(1), two(2), seven(7);
  const BatchRows one = batch.fit(Y, settings, alone);
  for (Team* team : {&two, &seven, &two}) {
    const BatchRows many = batch.fit(Y, settings, *team);
    CHECK(many.objective.head(5) == one.objective.head(5));
    CHECK(many.beta.leftCols(5) == one.beta.leftCols(5));
    CHECK(many.df.leftCols(5) == one.df.leftCols(5));
  }
  CHECK(one.outcome(5) == static_cast<int>(Outcome::kExplained));
  for (Index j = 0; j < 5; ++j) {
    Input input = rows.input;
    const Vector y = Y.col(j);
    input.y = y.data();
    Lmm model(input);
    const Estimate single = model.fit(reml, {}, {});
    CHECK_CLOSE(one.objective(j), single.objective, 1e-9);
    CHECK_CLOSE(one.sigma(j), single.sigma, 1e-5);
    CHECK((one.beta.col(j) - single.beta).norm() < 1e-5 * single.beta.norm());
    const Vector df = satterthwaite(model, single, reml, Matrix(single.cov_beta_root.transpose()));
    CHECK((df - one.df.col(j)).norm() < 1e-2 * df.norm());
  }
}

void chunks_equal_the_whole(const Rows& rows) {
  const Input& input = rows.input;
  Input layout;
  layout.fixed = input.fixed;
  for (const TermInput& term : input.terms)
    layout.terms.push_back({nullptr, 0, term.columns, term.blocks});
  // Levels are met in reverse: a permutation that renumber() has to undo.
  std::vector<std::vector<std::int32_t>> back;
  std::vector<std::vector<std::int32_t>> codes = rows.codes;
  std::vector<Index> n_levels;
  for (std::size_t t = 0; t < codes.size(); ++t) {
    const auto last = static_cast<std::int32_t>(input.terms[t].n_levels - 1);
    for (std::int32_t& code : codes[t]) code = last - code;
    std::vector<std::int32_t> number(input.terms[t].n_levels);
    for (std::int32_t l = 0; l <= last; ++l) number[l] = last - l;
    back.push_back(number);
    n_levels.push_back(last + 1);
  }
  std::vector<Accumulator> parts(2, Accumulator(layout));
  const std::vector<Index> bounds = {0, 31, 32, input.n / 2, input.n};
  for (std::size_t b = 0; b + 1 < bounds.size(); ++b) {
    Input chunk = input;
    chunk.n = bounds[b + 1] - bounds[b];
    chunk.y += bounds[b];
    if (chunk.weights) chunk.weights += bounds[b];
    for (const double*& column : chunk.columns) column += bounds[b];
    for (std::size_t t = 0; t < codes.size(); ++t)
      chunk.terms[t].codes = codes[t].data() + bounds[b];
    parts[b < 2 ? 0 : 1].add(chunk);
  }
  Accumulator restored(layout);
  restored.restore(parts[0].state());
  parts[1].merge(restored);
  parts[1].renumber(back, n_levels);
  CHECK(parts[1].n_obs() == input.n);
  const std::unique_ptr<Lmm> model = parts[1].model();
  Lmm whole(input);
  const std::vector<Matrix> lambda = random_factors(3, input);
  for (const bool reml : {true, false}) {
    const Estimate a = model->evaluate(lambda, reml), b = whole.evaluate(lambda, reml);
    CHECK_CLOSE(a.objective, b.objective, 1e-11);
    CHECK((a.beta - b.beta).norm() < 1e-9 * b.beta.norm());
    for (std::size_t t = 0; t < lambda.size(); ++t)
      CHECK((a.modes[t] - b.modes[t]).norm() < 1e-8 * (1.0 + b.modes[t].norm()));
  }
}

void wrong_contrasts_are_refused() {
  const Rows rows = random_rows(1, 60, {{6, 1}}, false);
  BatchSettings settings;
  settings.contrasts = Matrix::Identity(2, 2);
  bool thrown = false;
  try {
    Team team(2);
    Batch(rows.input).fit(responses(rows, 3), settings, team);
  } catch (const std::invalid_argument&) {
    thrown = true;
  }
  CHECK(thrown);
}

}  // namespace

int main() {
  for (const std::vector<TermShape>& shapes : kShapes)
    for (const bool weighted : {false, true}) {
      const Rows rows = random_rows(7, 160, shapes, weighted);
      batch_equals_single_fits(rows, true);
      batch_equals_single_fits(rows, false);
      chunks_equal_the_whole(rows);
    }
  wrong_contrasts_are_refused();
}
