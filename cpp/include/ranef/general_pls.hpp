// Penalised least squares of terms with a known precision of their levels, or several levels a row.
//
//   b = D u,  D = I (x) lambda_t by term,  u ~ N(0, blockdiag(Q_t^-1 (x) I))
//   C = D'Z'W Z D + blockdiag(Q_t (x) I),  log|H| = log|C| - sum_t k_t log|Q_t|
//
// One sparse factor of C serves any lambda, zero included. With Q = P'L L'P and M = P'L^-T, so that
// M M' = Q^-1, everything that LeastSquares says of Z holds of Z (M (x) I), whose levels are
// independent: fixed_scores() and quadratic_form() are in its coordinates, all else in those of b.
//
// References: Henderson (1973), J. Anim. Sci. 41 (suppl.), 10-41; Misztal and Perez-Enciso (1993),
// J. Dairy Sci. 76, 1479-1483 (derivatives by the sparse inverse).
#pragma once

#include <vector>

#include "ranef/general_terms.hpp"
#include "ranef/least_squares.hpp"
#include "ranef/supernodal.hpp"

namespace ranef {

class GeneralPls : public LeastSquares {
 public:
  GeneralPls(GeneralProducts products, const GeneralTerms& terms);

  Index n_root() const override { return factor_.size(); }
  bool is_sparse() const override { return true; }
  void set_response(const std::vector<Vector>& zy) override;
  Objective objective(const std::vector<Matrix>& lambda, bool reml) override;
  // Near a singular lambda those of one a small ridge away, as the search takes them.
  void derivatives(bool reml, Derivatives& out) override;
  Index projected_traces(bool reml, Matrix& out) override;
  Vector beta() const override;
  Matrix cov_beta_root() const override;
  std::vector<Matrix> modes() override;
  // D^1/2 is D P'L^-T of the factor of C.
  std::vector<Matrix> draw(const Vector& beta, double sigma, std::vector<RowMatrix> noise) override;
  // Of the errors of b when beta is estimated, too: prediction error variances.
  std::vector<Matrix> conditional_covariances() override;
  std::vector<RowMatrix> fixed_scores() override;
  Matrix quadratic_form(const std::vector<RowMatrix>& H) override;
  PairTraces pair_traces() override;  // dense: throws ModelTooLarge beyond some thousand effects
  Vector variances(const std::vector<const std::int32_t*>& codes, const std::vector<RowMatrix>& z,
                   Index m) override;
  std::vector<RowMatrix> fixed_rows() const override;
  std::vector<RowMatrix> solve(std::vector<RowMatrix> B) override;

  // D C^-1 D' B for B of all random effects (q, m), term by term.
  RowMatrix solve_all(const RowMatrix& B) const;
  Index offset(std::size_t t) const { return offset_[t]; }
  const RowMatrix& cross() const { return xy_; }

 private:
  // Places in the factor's values of the elements of a block, column by column; -1 above the
  // diagonal.
  struct Placed {
    LevelBlocks blocks;
    std::vector<Index> place;  // (k_s * k_t * pairs)
  };

  std::vector<SparseLower> Q_;               // by term
  std::vector<std::vector<Index>> Q_place_;  // (nnz * k) by term; of the diagonal of an identity
  std::vector<Supernodal> Q_factor_;         // empty for an identity
  double logdet_Q_ = 0.0;                    // sum_t k_t log|Q_t|
  std::vector<Placed> A_;
  std::vector<Index> offset_;  // (terms + 1,)
  RowMatrix xy_;               // (q, c) Z'W[X y]
  Supernodal factor_;

  Objective last_;
  std::vector<Matrix> lambda_;
  bool reml_ = false, stands_ = false;
  RowMatrix u_;  // (q, c) C^-1 D'Z'W[X y]
  Matrix L_;     // (c, c) factor of [X y]'H^-1[X y]

  void plan();
  bool assemble();
  Objective evaluate(bool reml);
  RowMatrix times_D(const RowMatrix& B, bool transposed) const;
  RowMatrix times_A(const RowMatrix& B) const;
  RowMatrix scores(const RowMatrix& rows, const RowMatrix& u) const;
  RowMatrix whiten(RowMatrix B, bool back) const;
  RowMatrix all(const std::vector<RowMatrix>& by_term) const;
  std::vector<RowMatrix> by_term(const RowMatrix& all) const;
  std::vector<Matrix> as_columns(const RowMatrix& b) const;
  std::vector<Matrix> inverse_traces();
};

}  // namespace ranef
