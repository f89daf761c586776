// The kernel against a dense computation with n by n matrices, for every block size and every plan.
#include "ranef/lmm.hpp"

#include "check.hpp"
#include "ranef/pls.hpp"

using namespace ranef;
using namespace ranef::test;

namespace {

struct Dense {
  double objective, sigma;
  Vector beta, residual;  // residual = V^-1 (y - X beta)
  Matrix precision;       // X'V^-1 X
};

Dense dense_fit(const Input& input, const std::vector<Matrix>& lambda, bool reml) {
  const Matrix V = dense_covariance(input, lambda);
  const Eigen::LLT<Matrix> llt(V);
  const Matrix X = dense_columns(input, input.fixed);
  const Vector y = Eigen::Map<const Vector>(input.y, input.n);
  Dense out;
  out.precision = X.transpose() * llt.solve(X);
  out.beta = out.precision.llt().solve(X.transpose() * llt.solve(y));
  const Vector r = y - X * out.beta;
  out.residual = llt.solve(r);
  const double squares = r.dot(out.residual);
  const double nu = double(input.n - (reml ? X.cols() : 0));
  const double logdet = 2.0 * Matrix(llt.matrixL()).diagonal().array().log().sum();
  out.sigma = std::sqrt(squares / nu);
  out.objective = logdet + nu * (1.0 + std::log(2.0 * M_PI * squares / nu));
  if (reml)
    out.objective += 2.0 * Matrix(out.precision.llt().matrixL()).diagonal().array().log().sum();
  return out;
}

void check_against_dense(const Rows& rows, unsigned seed, bool reml) {
  const Input& input = rows.input;
  const std::vector<Matrix> lambda = random_factors(seed, input);
  Lmm model(input);
  const Estimate ours = model.evaluate(lambda, reml);
  const Dense dense = dense_fit(input, lambda, reml);
  CHECK_CLOSE(ours.objective, dense.objective, 1e-10);
  CHECK_CLOSE(ours.sigma, dense.sigma, 1e-10);
  CHECK((ours.beta - dense.beta).norm() < 1e-8 * dense.beta.norm());
  const Matrix cov = ours.cov_beta_root * ours.cov_beta_root.transpose();
  CHECK((cov * dense.precision - Matrix::Identity(cov.rows(), cov.cols())).norm() < 1e-7);
  for (std::size_t t = 0; t < lambda.size(); ++t) {
    const Matrix z = dense_columns(input, input.terms[t].columns);
    Matrix b = Matrix::Zero(lambda[t].rows(), input.terms[t].n_levels);
    for (Index i = 0; i < input.n; ++i)
      b.col(input.terms[t].codes[i]) += z.row(i).transpose() * dense.residual(i);
    b = (lambda[t] * lambda[t].transpose() * b).eval();
    CHECK((b - ours.modes[t]).norm() < 1e-7 * (1.0 + b.norm()));
    CHECK((lambda[t] - ours.lambda[t]).norm() < 1e-9 * (1.0 + lambda[t].norm()));
  }
}

// Exact gradient against differences of the objective. They are of fourth order so that the step
// can be large: the objective is known to about 1e-12 of itself where random effects are large and
// X'H^-1 X is what is left of much larger sums.
void check_gradient(const Rows& rows, unsigned seed, bool reml) {
  Lmm model(rows.input);
  const std::vector<Matrix> lambda =
      model.evaluate(random_factors(seed, rows.input), reml).lambda_standard;
  const Curvature at = model.curvature(lambda, reml);
  CHECK_CLOSE(at.objective, model.objective_standard(lambda, reml), 1e-12);
  const auto parameters = model.parameters();
  for (std::size_t a = 0; a < parameters.size(); ++a) {
    const auto [t, i, j] = parameters[a];
    const auto between = [&, t = t, i = i, j = j](double h) {
      std::vector<Matrix> up = lambda, down = lambda;
      up[t](i, j) += h;
      down[t](i, j) -= h;
      return (model.objective_standard(up, reml) - model.objective_standard(down, reml)) /
             (2.0 * h);
    };
    const double h = 1e-3, slope = (4.0 * between(h) - between(2.0 * h)) / 3.0;
    CHECK(std::abs(slope - at.gradient(Index(a))) < 1e-6 * (1.0 + at.gradient.norm()));
  }
}

void check_all(const std::vector<TermShape>& shapes, Index n, bool nested) {
  for (unsigned seed = 1; seed <= 2; ++seed)
    for (bool weighted : {false, true}) {
      const Rows rows = random_rows(seed, n, shapes, weighted, nested);
      for (bool reml : {false, true}) {
        check_against_dense(rows, seed, reml);
        check_gradient(rows, seed, reml);
      }
    }
}

void check_conditional_covariances() {
  const Rows rows = random_rows(5, 120, {{30, 2}, {9, 1}}, true);
  Lmm model(rows.input);
  const std::vector<Matrix> lambda = random_factors(6, rows.input);
  const Matrix V = dense_covariance(rows.input, lambda);
  const std::vector<Matrix> ours =
      model.conditional_covariances(model.evaluate(lambda, true).lambda_standard);
  for (std::size_t t = 0; t < lambda.size(); ++t) {
    const Matrix z = dense_columns(rows.input, rows.input.terms[t].columns);
    const Matrix Sigma = lambda[t] * lambda[t].transpose();
    const Index k = Sigma.rows();
    for (Index l = 0; l < rows.input.terms[t].n_levels; ++l) {
      Matrix zl = z;
      for (Index i = 0; i < rows.input.n; ++i)
        if (rows.input.terms[t].codes[i] != l) zl.row(i).setZero();
      const Matrix want = Sigma - Sigma * zl.transpose() * V.llt().solve(zl) * Sigma;
      const Eigen::Map<const Matrix> got(ours[t].data() + l * k * k, k, k);
      CHECK((got - want).norm() < 1e-8 * (1.0 + want.norm()));
    }
  }
}

// The objective allocates nothing: neither for blocks of up to sixteen columns, the sizes that the
// compiler knows among them, nor for a dense or a sparse root of one or several terms.
void check_no_allocation(const std::vector<TermShape>& shapes, bool nested, bool sparse) {
  const Rows rows = random_rows(3, 400, shapes, true, nested);
  const Shifts shifts = choose_shifts(rows.input);
  CrossProducts products = accumulate(rows.input, shifts);
  standardise(rows.input, shifts, products);
  std::vector<std::vector<int>> blocks;
  for (const TermInput& term : rows.input.terms) blocks.push_back(term.blocks);
  Pls pls(std::move(products), std::move(blocks));
  CHECK(pls.is_sparse() == sparse);
  const std::vector<Matrix> lambda = random_factors(4, rows.input);
  const std::vector<Matrix> other = random_factors(5, rows.input);
  const double first = pls.objective(lambda, true).value;
  pls.objective(other, true);
  Eigen::internal::set_is_malloc_allowed(false);
  const double second = pls.objective(lambda, true).value;
  Eigen::internal::set_is_malloc_allowed(true);
  CHECK(first == second);
}

}  // namespace

int main() {
  check_all({{12, 1}}, 70, false);
  check_all({{12, 2}}, 90, false);
  check_all({{10, 3}}, 90, false);
  check_all({{10, 4}}, 100, false);
  check_all({{9, 6}}, 120, false);
  check_all({{30, 1}, {8, 1}}, 100, false);           // dense root, dense coupling
  check_all({{90, 1}, {60, 1}}, 130, false);          // dense or sparse root, sparse coupling
  check_all({{20, 2}, {10, 3}, {6, 1}}, 140, false);  // vector terms everywhere
  check_all({{80, 2}, {70, 2}}, 170, false);
  check_all({{120, 1}, {60, 1}, {10, 1}}, 240, true);  // nested chain: sparse root
  check_all({{110, 2}, {55, 2}}, 260, true);
  check_conditional_covariances();
  check_no_allocation({{40, 2}}, false, false);
  check_no_allocation({{30, 4}}, false, false);
  check_no_allocation({{30, 6}}, false, false);
  check_no_allocation({{20, 10}}, false, false);
  check_no_allocation({{10, 16}}, false, false);
  check_no_allocation({{60, 1}, {30, 1}}, false, false);           // crossed intercepts
  check_no_allocation({{60, 1}, {30, 1}, {12, 1}}, false, false);  // three of them
  check_no_allocation({{40, 1}, {12, 2}}, false, false);
  check_no_allocation({{20, 5}, {8, 6}}, false, false);
  check_no_allocation({{200, 1}, {100, 1}, {20, 1}}, true, true);
  std::puts("lmm: passed");
}
