// Penalised least squares of crossed scalar random effects without a factor of the Schur
// complement: sparse products, conjugate gradients, and a sampled log determinant.
//
// The objective is that of a fixed sample of probes: smooth, with an exact gradient, the same to
// the bit for a seed whatever the number of threads. improve() makes the sample as large as the
// promised errors ask for.
#pragma once

#include <vector>

#include "ranef/crossed_graph.hpp"
#include "ranef/crossed_logdet.hpp"
#include "ranef/crossed_plan.hpp"
#include "ranef/eigen.hpp"
#include "ranef/least_squares.hpp"

namespace ranef {

// Derivatives of log|M|, M = I + Lambda'Z'W Z Lambda, by the standard deviations and by the values
// of Z'W Z, those of pairs halved: both of their triangles hold them.
struct DeterminantSlopes {
  Vector by_lambda;                        // (terms,)
  std::vector<Matrix> own;                 // (1, l_t)
  std::vector<std::vector<Matrix>> pairs;  // (1, nnz)
};

class CrossedPls : public LeastSquares {
 public:
  // Rows by term of the kernel, the root's terms together.
  struct Halves {
    RowMatrix leading;  // (R, m)
    RowMatrix root;     // (C, m)
  };

  // The first term leads. Takes what it needs out of `products`.
  CrossedPls(CrossProducts products, std::vector<std::vector<int>> blocks,
             const CrossedSettings& settings);

  Team& team() const { return graph_.team(); }
  Index n_root() const override { return graph_.n_root(); }
  bool is_sparse() const override { return true; }
  void set_response(const std::vector<Vector>& zy) override;
  Objective objective(const std::vector<Matrix>& lambda, bool reml) override;
  void derivatives(bool reml, Derivatives& out) override;
  Index projected_traces(bool reml, Matrix& out) override;
  Vector beta() const override;
  Matrix cov_beta_root() const override;
  std::vector<Matrix> modes() override;
  std::vector<Matrix> conditional_covariances() override;
  std::vector<RowMatrix> fixed_scores() override;
  Matrix quadratic_form(const std::vector<RowMatrix>& H) override;
  PairTraces pair_traces() override;  // throws: not known without a factor
  Vector variances(const std::vector<const std::int32_t*>& codes, const std::vector<RowMatrix>& z,
                   Index m) override;
  std::vector<RowMatrix> fixed_rows() const override;
  std::vector<RowMatrix> solve(std::vector<RowMatrix> B) override;
  bool improve(const std::vector<Matrix>& lambda, bool reml) override;
  Approximation approximation() const override { return approximation_; }
  void resume(const Approximation& former) override;

  // What generalised models ask, whose weights change. After stand(), solve() and variances() are
  // those of M at lambda under these products; after log_determinant() conditional_covariances(),
  // too. There is no objective.
  void stand(const CrossProducts& products, const std::vector<Matrix>& lambda);
  double log_determinant();  // of M; NaN where a solve fails
  // Where log_determinant() was last called.
  void determinant_slopes(const CrossProducts& products, DeterminantSlopes& out) const;
  // Of each of so many parts of the sample, in place of all of it.
  std::vector<DeterminantSlopes> slopes_of_parts(const CrossProducts& products, int parts) const;
  // Whether the sample was made larger, or V chosen anew; `theta_sd` as of Approximation.
  bool improve_sample(double theta_sd);
  void resume_sample(const Approximation& former, RowMatrix V);
  const RowMatrix& deflation() const { return logdet_.V(); }

  // Solve M u = g for spherical right sides g, each until its residual is below its tolerance,
  // (m,): from zero, or what is known of the largest eigenvectors, on.
  Halves solve_spherical(const Halves& g, const Vector& tolerance) const;
  // g = Lambda'Z'r of right sides Z'r in place, and u as good a guess at the mode under lambda as
  // it is under `before`: what a factor alone would make of it.
  void make_spherical(Halves& rows) const;
  void follow(const CrossProducts& products, const std::vector<Matrix>& before,
              const std::vector<Matrix>& now, Halves& u) const;
  Halves halves(const std::vector<RowMatrix>& by_term) const;
  std::vector<RowMatrix> by_term(const Halves& halves) const;

 private:
  CrossedSettings settings_;
  CrossedGraph graph_;
  CrossedLogdet logdet_;
  LogdetSettings sample_;
  Halves xy_;  // Z'W[X y]
  bool deflated_ = false;
  Approximation approximation_;
  int rounds_ = 0;

  std::vector<Matrix> lambda_;
  bool reml_ = false, stands_ = false;
  Objective last_;
  Logdet trace_;
  LogdetError error_;  // of trace_
  RowMatrix x_;        // (C, c) (I - T)^-1 of the response's and X's right sides
  RowMatrix AV_;       // (C, k)
  Halves N_;           // Z'H^-1[X y] U, once asked for
  bool scored_ = false;
  Derivatives derivatives_;
  bool derived_ = false;  // derivatives_ are those of last_
  Matrix L_;              // (c, c)

  Objective evaluate(bool reml);
  bool cover(bool reml);
  void take_derivatives(bool reml);
  void deflate();
  double solve_from(const RowMatrix& right, double tolerance, RowMatrix& X, RowMatrix& R) const;
  void reduce(const Halves& rows, RowMatrix& right) const;
  Halves scores(const Halves& rows, double tolerance) const;
  Matrix quadratic_form(const std::vector<RowMatrix>& H, double tolerance) const;
  void orthonormal_scores();
  Halves products(const Halves& H) const;
  bool improve_once(const std::vector<Matrix>& lambda, bool reml);
  void slopes_from(const LogdetSlopes& slopes, const CrossProducts& products,
                   DeterminantSlopes& out) const;
  bool take_error(const LogdetError& error, bool reml);
};

}  // namespace ranef
