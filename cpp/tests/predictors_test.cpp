// Several predictors: Laplace's approximation against dense arithmetic, its gradient and that of
// quadrature against differences, one predictor against the hand-written kernel, and quadrature of
// many points against the integral itself.
#include "ranef/predictors.hpp"

#include "check.hpp"
#include "ranef/jet.hpp"
#include "ranef/search.hpp"

using namespace ranef;
using namespace ranef::test;

namespace {

constexpr Index kRows = 110;

struct TermOf {
  Index n_levels, k;
  int predictor;
};

struct Model {
  Distribution distribution;
  Link link;
  bool zero;
  std::vector<double> center;  // of each predictor
};

struct Built {
  Vector y;
  std::vector<PredictorInput> inputs;
  std::vector<PredictorTerm> terms;
  Index n_beta = 0;
  Vector theta, beta;
};

Built build(const Model& of, Index n, const std::vector<TermOf>& terms, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  Built out;
  const bool share = of.distribution == Distribution::beta;
  const bool real = of.distribution == Distribution::student;
  std::poisson_distribution<int> poisson(1.6);
  out.y = Vector::NullaryExpr(n, [&]() -> double {
    if (share) return 1.0 / (1.0 + std::exp(-normal(random)));
    return real ? normal(random) : poisson(random);
  });
  for (std::size_t a = 0; a < of.center.size(); ++a) {
    PredictorInput input;
    const Index p = a % 2 == 0 ? 2 : 1;
    input.X = Matrix::Ones(n, p);
    if (p > 1) input.X.col(1) = Vector::NullaryExpr(n, [&] { return normal(random); });
    for (Index j = 0; j < p; ++j) input.index.push_back(static_cast<int>(out.n_beta + j));
    if (a == 0) input.offset = Vector::Constant(n, 0.1);
    out.n_beta += p;
    out.inputs.push_back(std::move(input));
  }
  out.beta = Vector::NullaryExpr(out.n_beta, [&] { return 0.1 * normal(random); });
  for (std::size_t a = 0; a < of.center.size(); ++a)
    out.beta(out.inputs[a].index[0]) += of.center[a];
  Index m = 0;
  for (const TermOf& shape : terms) {
    PredictorTerm term{std::vector<std::int32_t>(n), shape.n_levels, RowMatrix(n, shape.k),
                       std::vector<int>(shape.k, 0), shape.predictor};
    for (Index i = 0; i < n; ++i)
      term.codes[i] = static_cast<std::int32_t>(
          i < shape.n_levels ? i : Index(random() % unsigned(shape.n_levels)));
    term.z.col(0).setOnes();
    for (Index j = 1; j < shape.k; ++j)
      term.z.col(j) = Vector::NullaryExpr(n, [&] { return normal(random); });
    m += shape.k * (shape.k + 1) / 2;
    out.terms.push_back(std::move(term));
  }
  out.theta = Vector::NullaryExpr(m, [&] { return 0.4 * normal(random) + 0.2; });
  return out;
}

std::unique_ptr<RowModel> rows_of(const Model& of, const Built& built) {
  return make_row_model(of.distribution, of.link, of.zero, {built.y, Vector::Ones(built.y.size())});
}

Predictors kernel(const Model& of, const Built& built) {
  return Predictors(rows_of(of, built), built.inputs, built.terms, built.n_beta);
}

// -2 log-likelihood with one dense Z Lambda for each active predictor, by Newton's method on u.
double dense_laplace(const Model& of, const Built& built, const Predictors& kernel) {
  const auto rows = rows_of(of, built);
  const Index n = built.y.size(), N = rows->n_inputs();
  const std::vector<Matrix> lambda = kernel.lambda(built.theta);
  Index q = 0;
  for (const PredictorTerm& term : built.terms) q += term.n_levels * term.z.cols();
  std::vector<Matrix> ZL(N, Matrix::Zero(n, q));
  Index offset = 0;
  for (std::size_t t = 0; t < built.terms.size(); ++t) {
    const PredictorTerm& term = built.terms[t];
    const Matrix z = term.z * lambda[t];
    for (Index i = 0; i < n; ++i)
      ZL[term.predictor].row(i).segment(offset + term.codes[i] * z.cols(), z.cols()) = z.row(i);
    offset += term.n_levels * z.cols();
  }
  Matrix fixed = Matrix::Zero(n, N);
  for (Index a = 0; a < N; ++a) {
    const PredictorInput& input = built.inputs[a];
    for (Index j = 0; j < input.X.cols(); ++j)
      fixed.col(a) += input.X.col(j) * built.beta(input.index[j]);
    if (input.offset.size() != 0) fixed.col(a) += input.offset;
  }
  Vector u = Vector::Zero(q);
  Matrix eta, M;
  for (int step = 0; step < 200; ++step) {
    eta = fixed;
    for (Index a = 0; a < N; ++a) eta.col(a) += ZL[a] * u;
    Matrix score, second, slope;
    rows->slopes(eta, {}, Matrix::Zero(n, 0), score, second, slope);
    rows->seconds(eta, second);
    Vector g = -u;
    M = Matrix::Identity(q, q);
    for (Index a = 0; a < N; ++a) {
      g += ZL[a].transpose() * score.col(a);
      for (Index b = 0; b < N; ++b)
        M -= ZL[a].transpose() *
             second.col(symmetric_index(static_cast<int>(a), static_cast<int>(b))).asDiagonal() *
             ZL[b];
    }
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(M);
    const Vector size = eigen.eigenvalues().cwiseAbs().cwiseMax(0.1);
    const Vector change = eigen.eigenvectors() * size.cwiseInverse().asDiagonal() *
                          eigen.eigenvectors().transpose() * g;
    u += std::min(1.0, 1.0 / change.norm()) * change;
    if (change.norm() < 1e-13 * (1.0 + u.norm())) break;
  }
  return -2.0 * rows->total(eta) + u.squaredNorm() +
         2.0 * Matrix(M.llt().matrixL()).diagonal().array().log().sum();
}

void check_against_dense(const Model& of, const std::vector<TermOf>& terms) {
  const Built built = build(of, kRows, terms, 11);
  Predictors model = kernel(of, built);
  CHECK_CLOSE(model.evaluate(built.theta, built.beta).value, dense_laplace(of, built, model), 1e-9);
}

HermiteRule three_points() {
  HermiteRule rule{Vector(3), Vector(3)};
  rule.nodes << -std::sqrt(1.5), 0.0, std::sqrt(1.5);
  rule.weights << std::sqrt(M_PI) / 6.0, 2.0 * std::sqrt(M_PI) / 3.0, std::sqrt(M_PI) / 6.0;
  return rule;
}

void check_gradient(const Model& of, const std::vector<TermOf>& terms, bool quadrature = false) {
  const Built built = build(of, kRows, terms, 12);
  Predictors model = kernel(of, built);
  const Index m = built.theta.size();
  const HermiteRule rule = three_points();
  const auto value = [&](Index j, double h) {
    Vector theta = built.theta, beta = built.beta;
    (j < m ? theta(j) : beta(j - m)) += h;
    const double laplace = model.evaluate(theta, beta).value;
    return quadrature ? laplace + model.quadrature(rule).value : laplace;
  };
  CHECK(model.evaluate(built.theta, built.beta).value < kInfeasible);
  const Vector gradient = quadrature ? model.quadrature(rule).gradient : model.gradient();
  CHECK(gradient.size() == m + built.n_beta);
  for (Index j = 0; j < gradient.size(); ++j) {
    const auto between = [&](double h) { return (value(j, h) - value(j, -h)) / (2.0 * h); };
    const double slope = (4.0 * between(1e-3) - between(2e-3)) / 3.0;
    CHECK(std::abs(slope - gradient(j)) < 1e-6 * (1.0 + gradient.norm()));
  }
}

// The hand-written kernel of counts has the same criterion and gradient.
void check_hand_written() {
  const Model of{Distribution::negative_binomial, Link::log, false, {0.4, 0.3}};
  const Built built = build(of, 240, {{30, 2, 0}, {8, 1, 0}}, 13);
  Predictors several = kernel(of, built);
  Input input;
  input.n = 240;
  const Vector x = built.inputs[0].X.col(1), z = built.terms[0].z.col(1);
  input.columns = {x.data(), z.data()};
  input.fixed = {kIntercept, 0};
  input.terms.push_back({built.terms[0].codes.data(), 30, {kIntercept, 1}, {0, 0}});
  input.terms.push_back({built.terms[1].codes.data(), 8, {kIntercept}, {0}});
  Glmm one(input, {Distribution::negative_binomial, Link::log}, {built.y, Vector::Ones(240)},
           built.inputs[0].offset);
  const Matrix T = one.basis().T.topLeftCorner(2, 2), Tz = one.term_basis(0);
  GlmmParameters at;
  at.theta = built.theta;
  at.dispersion = std::exp(built.beta(2));
  at.beta = T.lu().solve(built.beta.head(2));
  const GlmmPoint hand = one.evaluate(at);
  // the same covariance: the hand-written one's columns are standardised
  Matrix lambda = Matrix::Zero(2, 2);
  lambda << at.theta(0), 0.0, at.theta(1), at.theta(2);
  const Matrix raw = lower_factor(Tz * lambda);
  Vector theta = built.theta;
  theta.head(3) << raw(0, 0), raw(1, 0), raw(1, 1);
  const GlmmPoint jets = several.evaluate(theta, built.beta);
  CHECK_CLOSE(jets.value, hand.value, 1e-10);
  const Vector a = one.gradient(), b = several.gradient();
  const Vector by_beta = T.transpose() * b.segment(4, 2);
  CHECK((a.segment(4, 2) - by_beta).norm() < 1e-8 * (1.0 + by_beta.norm()));
  CHECK_CLOSE(a(6), b(6), 1e-8);
}

// Two predictors with one random intercept each: quadrature of the second given none of the first
// is an integral of one dimension a level, here by brute force.
void check_integral() {
  const Model of{Distribution::poisson, Link::log, true, {0.4, -0.6}};
  const Built built = build(of, 120, {{10, 1, 1}}, 14);
  Predictors model = kernel(of, built);
  const int points = 25;
  // the rule from the eigenvalues of its recurrence
  Matrix J = Matrix::Zero(points, points);
  for (int i = 1; i < points; ++i) J(i, i - 1) = J(i - 1, i) = std::sqrt(0.5 * i);
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(J);
  HermiteRule rule{eigen.eigenvalues(),
                   std::sqrt(M_PI) * eigen.eigenvectors().row(0).array().square().transpose()};
  const double laplace = model.evaluate(built.theta, built.beta).value;
  const double found = laplace + model.quadrature(rule).value;
  const auto rows = rows_of(of, built);
  double expected = 0.0;
  Matrix eta(1, 2), score;
  for (std::int32_t l = 0; l < 10; ++l) {
    double sum = 0.0;
    // of a smooth function that falls off to both sides: equal steps leave out next to nothing
    const double h = 0.05;
    for (double u = -8.0; u < 8.0; u += h) {
      double value = -0.5 * u * u - 0.9189385332046727418;
      for (std::int32_t i = 0; i < 120; ++i) {
        if (built.terms[0].codes[i] != l) continue;
        eta(0, 0) = built.inputs[0].X.row(i).dot(built.beta.head(2)) + 0.1;
        eta(0, 1) = built.beta(2) + built.theta(0) * u;
        value += rows->at_rows(&i, eta, score);
      }
      sum += h * std::exp(value);
    }
    expected -= 2.0 * std::log(sum);
  }
  CHECK_CLOSE(found, expected, 1e-9);
}

}  // namespace

int main() {
  using D = Distribution;
  const std::vector<Model> models = {
      {D::poisson, Link::log, true, {0.4, -0.8}},
      {D::negative_binomial, Link::log, true, {0.4, 0.5, -0.8}},
      {D::nbinom1, Link::log, false, {0.4, -0.3}},
      {D::beta, Link::logit, false, {0.1, 1.5}},
      {D::student, Link::identity, false, {0.1, 0.2, 1.0}},  // whose weights may be negative
  };
  for (const Model& of : models) {
    const int last = static_cast<int>(of.center.size()) - 1;
    const std::vector<std::vector<TermOf>> cases = {
        {{12, 1, 0}},
        {{12, 2, 0}, {8, 1, 0}},
        {{12, 1, 0}, {9, 1, last == 2 ? 1 : last}},
        {{20, 1, 0}, {20, 1, last == 2 ? 1 : last}, {6, 1, 0}},
    };
    // The first distribution with every arrangement of terms, the others with the two richest.
    for (std::size_t i = &of == &models.front() ? 0 : 1; i < cases.size(); ++i) {
      if (i == 2 && &of != &models.front()) continue;
      check_against_dense(of, cases[i]);
      check_gradient(of, cases[i]);
    }
    check_gradient(of, {}, false);
    check_gradient(of, {{12, 2, 0}}, true);
    check_gradient(of, {{12, 1, 1}}, true);
  }
  check_hand_written();
  check_integral();
  std::puts("predictors: passed");
}
