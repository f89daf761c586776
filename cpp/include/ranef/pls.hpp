// Penalised least squares at a given covariance, with exact derivatives.
//
//   H = I + Z Sigma Z',  Sigma = Lambda Lambda'          (everything relative to sigma^2, weights
//   absorbed) d = log|H| + [REML: log|X'H^-1 X|] + nu (1 + log(2 pi r^2 / nu)),   r^2 = y'P y
//
// With N = Z'H^-1 [X y] U, the columns of [X y] U orthonormal under H^-1, and M_t = sum_l [Z'H^-1
// Z]_ll,
//
//   S_t = M_t - [REML: sum_l N_X N_X'] - nu sum_l n_y n_y'
//
// is the derivative of d by Sigma_t. It is finite at a singular Sigma_t.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "ranef/coupling.hpp"
#include "ranef/cross_products.hpp"
#include "ranef/eigen.hpp"
#include "ranef/least_squares.hpp"
#include "ranef/levels.hpp"
#include "ranef/root.hpp"
#include "ranef/threads.hpp"

namespace ranef {

// What of Lambda Omega^-1 Lambda' and of Omega^-1 belongs to levels that meet, with Omega =
// I + Lambda'A Lambda. The root's sides are spherical: multiply by lambda_t for its random effects.
struct InverseBlocks {
  std::vector<Matrix> own;                 // (k_t * k_t, l_t)
  std::vector<std::vector<Matrix>> pairs;  // (k_s * k_t, nnz) like the values of CrossProducts
  Matrix leading;                          // (k, k) sum_l [Z'H^-1 Z]_ll of the leading term
};

// Terms of a model in the order in which the kernel takes them: the term with the most random
// effects leads; the rest follow by size.
std::vector<std::size_t> elimination_order(const Input& input);

class Pls : public LeastSquares {
 public:
  // The first term leads: it is eliminated level by level. Blocks and structures as LeastSquares.
  Pls(CrossProducts products, std::vector<std::vector<int>> blocks,
      std::vector<BlockStructures> structures = {});

  // Divide the work of what follows among so many threads: the results are the same.
  void use_threads(int threads) { team_ = std::make_unique<Team>(threads); }

  Index n_root() const override { return root_.size(); }
  bool is_sparse() const override { return root_.is_sparse(); }

  // Replace the response by another with X'W y = 0 and y'W y = n, given by its Z_t'W y (l_t * k_t).
  void set_response(const std::vector<Vector>& zy) override;

  // The objective at relative covariance factors lambda_t (k_t, k_t), lower triangular. Never
  // throws: where a factorisation fails the value is kInfeasible. The factor at hand serves again
  // where it is the one asked for.
  Objective objective(const std::vector<Matrix>& lambda, bool reml) override;

  // Take products of the same rows under other weights.
  void renew(const CrossProducts& products);

  // log|H| at lambda, NaN where a factorisation fails. Afterwards solve() and inverse_blocks() are
  // those of lambda.
  double factor(const std::vector<Matrix>& lambda);

  // At the last factor(), which is spent but for solve(). Lambda may be singular.
  void inverse_blocks(InverseBlocks& out);

  // Derivatives where objective() was last called; lambda of every term but the first must be
  // invertible. Afterwards the factor is spent: call objective() again before anything else.
  void derivatives(bool reml, Derivatives& out) override;

  // tr(P V_a P V_b) where derivatives() were last taken, P = H^-1 - [REML: H^-1 X U U'X'H^-1], as
  // far as these are cheap then: (m, m) for the parameters from the returned one on, 0 before. With
  // a dense root those of the root, with a sparse one none, without a root all.
  Index projected_traces(bool reml, Matrix& out) override;

  // At the last objective(): beta (p,), the factor of (X'H^-1 X)^-1, and b = Sigma Z'P y by term.
  Vector beta() const override;
  Matrix cov_beta_root() const override;  // (p, p) upper triangular U, (X'H^-1 X)^-1 = U U'
  std::vector<Matrix> modes() override;   // (k_t, l_t)

  // D^1/2 takes the root first, and each level of the leading term given the root:
  //   b_2 = Lambda_2 L^-T e_2,  b_1 = Lambda_1 M^-T e_1 - K A_12 b_2,  M M' = I + Lambda_1'A_l
  //   Lambda_1
  std::vector<Matrix> draw(const Vector& beta, double sigma, std::vector<RowMatrix> noise) override;

  // Conditional covariances of b, relative to sigma^2, for beta known: (k_t * k_t, l_t) by term.
  // Spends the factor.
  std::vector<Matrix> conditional_covariances() override;

  // Z'H^-1 X U by term, (l_t * k_t, p), at the last objective(); the columns of X U, U that of
  // cov_beta_root(), are orthonormal under H^-1.
  std::vector<RowMatrix> fixed_scores() override;

  // H'Z'H^-1 Z H of q-vectors given by term (l_t * k_t, m), at the last objective().
  Matrix quadratic_form(const std::vector<RowMatrix>& H) override;

  // Traces of H^-1 V_a H^-1 V_b, at the last objective(); lambda of every term but the first must
  // be invertible. Needs about three (q_1, q_2) matrices and q_1 q_2^2 operations a parameter.
  PairTraces pair_traces() override;

  Vector variances(const std::vector<const std::int32_t*>& codes, const std::vector<RowMatrix>& z,
                   Index m) override;

  // Z'X by term (l_t * k_t, p).
  std::vector<RowMatrix> fixed_rows() const override;

  // D B = Lambda Omega^-1 Lambda' B for B given by term (l_t * k_t, m): the modes of right sides B.
  std::vector<RowMatrix> solve(std::vector<RowMatrix> B) override;

 private:
  std::unique_ptr<Team> team_;  // null: the thread alone
  TermProducts leading_;
  RowMatrix xy_;  // (q_2, c) of the root
  Coupling coupling_;
  Root root_;

  Objective last_;         // at lambda_, where factored_
  bool factored_ = false;  // the factor is that of lambda_ and not spent
  bool reml_ = false;
  std::vector<Matrix> lambda_;          // of all terms
  std::vector<Matrix> root_lambda_;     // of the root's terms
  std::vector<Matrix> lambda_inverse_;  // of the root's terms
  Matrix Sigma_;                        // (k, k) of the leading term
  bool by_pass_ = false;                // the leading term is worked level by level
  bool kept_ = false;                   // T_ and K_ are those of lambda_
  double log_levels_ = 0.0;             // sum of log det(I + A_l Sigma), where kept_
  Matrix T_, K_;                        // (k * k, l) of the leading term
  RowMatrix KR_;                        // (q_1, c) K_l Z_l'[X y], where there is a root
  RowMatrix half_, U_;                  // (q_2, c) L^-1 Lambda'(..), and the spherical solution
  Matrix reduced_, L_;                  // (c, c) [X y]'H^-1[X y] and its factor
  Eigen::LLT<Matrix> llt_;
  RowMatrix N1_, N2_;  // (q_1, c), (q_2, c)
  Matrix quadratic_;   // (k * k, l)
  LevelSums sums_;
  RowMatrix Th_;  // (q_1, elements of Sigma_1, or parameters of a leading term with a structure)

  Objective evaluate(bool reml);
  double factor_blocks();
  void add_root_variances(const std::vector<const std::int32_t*>& codes,
                          const std::vector<RowMatrix>& z, const std::vector<Index>& rows,
                          Vector& out) const;
  // put(root column, value) for the right side Lambda_2'(z_2 - A_21 K_1 z_1) of row i.
  template <class Put>
  void right_side(const std::vector<const std::int32_t*>& codes, const std::vector<RowMatrix>& z,
                  Index i, Put&& put) const;
  double keep_levels();
  void gather_leading();
  double response_along(std::size_t t, const Matrix& D) const;
  void spend_factor();
  std::vector<RowMatrix> means(const Vector& beta);
  void spread(std::vector<RowMatrix>& noise);
  std::vector<Matrix> as_columns(const std::vector<RowMatrix>& b) const;
  Matrix orthonormal_basis() const;
  void orthonormal_scores();
  void root_directions(Index m0, RowMatrix& H, Matrix& J) const;
  void leading_pairs(Index m0, const RowMatrix& F, PairTraces& out) const;
  void leading_projected(bool reml, Matrix& out);
  void root_projected(Index m0, bool reml, Matrix& out) const;
  void root_pairs(Index m0, const RowMatrix& F, PairTraces& out) const;
  void add_root(Index m0, double nu, const RowMatrix& F, Matrix& Q, Matrix& J);
  void root_traces(bool reml, double nu, Derivatives& out);
  void scale_root_rows(const std::vector<Matrix>& factors, bool transposed, RowMatrix& rows) const;
};

}  // namespace ranef
