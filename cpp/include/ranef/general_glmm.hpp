// A generalised linear mixed model of general terms by Laplace's approximation.
//
//   eta = offset + X beta + Z D u,  u ~ N(0, Q^-1),  D and Q as in general_pls.hpp
//   d   = -2 l(eta) + u'Q u + log|M| - log|Q| at the mode of u,  M = Q + D'Z'W Z D
//
// With h_i = z_i'D M^-1 D'z_i, a_i = h_i dw_i/deta_i, s = dl/deta and v = M^-1 D'Z'a, derivatives
// are those of glmm.hpp: Q plays no part in them but through M.
#pragma once

#include <tuple>
#include <vector>

#include "ranef/general_terms.hpp"
#include "ranef/glmm.hpp"
#include "ranef/likelihood.hpp"
#include "ranef/standard_basis.hpp"
#include "ranef/supernodal.hpp"

namespace ranef {

class GeneralGlmm {
 public:
  // Copies what it needs. The terms of `input`, which has neither response nor weights, are
  // members.
  GeneralGlmm(const Input& input, const GeneralTerms& terms, const Likelihood& likelihood,
              ResponseRows rows, Vector offset);

  // As those of Glmm.
  GlmmPoint evaluate(const GlmmParameters& at);
  Vector gradient();
  std::vector<Matrix> gradient_by_factors() const { return by_lambda_; }
  Matrix information_beta();
  std::vector<Matrix> modes() const;
  std::vector<Matrix> conditional_covariances();
  Vector eta() const { return eta_ / unit_; }
  void restart();
  std::vector<std::tuple<std::size_t, int, int>> parameters() const { return parameters_; }
  std::vector<Matrix> lambda(const Vector& theta, bool standard) const;
  const StandardBasis& basis() const { return basis_; }
  Matrix term_basis(std::size_t t) const { return basis_.Tz[t]; }

  // The same without what levels not seen add: rows of Z as the user has it.
  Vector prediction_variances(const Matrix& X, const Matrix& cov_beta, const SparseRowsOfZ& Z);

 private:
  struct Term {
    Index k, levels, offset;
  };
  struct Member {
    std::size_t term;
    std::vector<std::int32_t> codes;  // (n,)
    RowMatrix z;                      // (n, k)
    Index first;                      // place of its columns among those of a row
  };

  Likelihood likelihood_;
  ResponseRows rows_;  // y in units of unit_, predictors in units of 1 / unit_
  Vector offset_;
  double unit_ = 1.0;
  StandardBasis basis_;  // Tz by term
  Matrix X_;             // (n, p) kept columns, standardised
  std::vector<Term> terms_;
  std::vector<Member> members_;
  std::vector<SparseLower> Q_;
  std::vector<Supernodal> Q_factor_;
  std::vector<std::tuple<std::size_t, int, int>> parameters_;
  Index q_ = 0, width_ = 0;  // random effects; columns of Z that a row has
  double logdet_Q_ = 0.0;
  Supernodal factor_;
  std::vector<Index> place_;    // (n, width (width + 1) / 2) of pairs of a row's columns in M
  std::vector<Index> Q_place_;  // of the elements of Q, term by term

  // The last evaluate().
  std::vector<Matrix> lambda_;
  RowMatrix ZD_;           // (n, width) D'z_i
  Vector beta_, u_, eta_;  // u (q,)
  bool joint_ = false;
  double dispersion_ = 1.0;
  RowDerivatives derivatives_;  // at eta_
  std::vector<Matrix> by_lambda_;

  void plan(const GeneralTerms& terms);
  void take_unit();
  Index column(const Member& member, Index i) const {
    return terms_[member.term].offset + member.codes[i] * terms_[member.term].k;
  }
  template <class Visit>
  void each_precision(Visit&& visit) const;
  std::vector<Matrix> factors_of(const Vector& theta) const;
  void scale_rows();
  Vector starting_beta() const;
  GlmmPoint find_mode();
  double renew_factor();
  Vector multiply(const Vector& u) const;             // Z D u
  RowMatrix transposed(const RowMatrix& rows) const;  // D'Z' rows
  Vector times_Q(const Vector& u) const;
  RowMatrix solve(RowMatrix B) const;  // M^-1 B
};

}  // namespace ranef
