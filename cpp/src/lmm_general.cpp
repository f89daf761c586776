// Linear mixed models of general terms.
#include <numeric>
#include <stdexcept>

#include "ranef/dense.hpp"
#include "ranef/general_pls.hpp"
#include "ranef/interrupt.hpp"
#include "ranef/levels.hpp"
#include "ranef/lmm.hpp"

namespace ranef {
namespace {

constexpr Index kPanel = 64;  // rows that are solved for together

}  // namespace

Lmm::Lmm(const Input& input, const GeneralTerms& terms)
    : n_(input.n), place_(terms.precision.size()) {
  std::iota(place_.begin(), place_.end(), std::size_t{0});
  order_ = place_;
  const Shifts shifts = choose_shifts(input);
  CrossProducts products = accumulate(input, shifts);
  if (needs_refinement(input, products)) {
    const RefinedInput refined = refine(input, shifts);
    products = accumulate(refined.input, refined.shifts);
    basis_ = compose(refined.basis, standardise(refined.input, refined.shifts, products));
  } else {
    basis_ = standardise(input, shifts, products);
  }
  sum_log_w_ = products.sum_log_w;
  GeneralProducts joined = join_members(std::move(products), terms, basis_);
  // A standardised column has the mean square one: its effects start at the size of the residual.
  for (std::size_t t = 0; t < joined.sums.terms.size(); ++t) {
    const Index k = joined.sums.terms[t].k;
    start_.push_back(Matrix::Identity(k, k) / std::sqrt(terms.size[t]));
  }
  pls_ = std::make_unique<GeneralPls>(std::move(joined), terms);
}

Vector Lmm::prediction_variances(const std::vector<Matrix>& lambda_standard,
                                 const ConstMatrixRef& X, const SparseRowsOfZ& Z) {
  const auto* pls = dynamic_cast<const GeneralPls*>(pls_.get());
  if (!pls) throw std::invalid_argument("Z: the terms are no general ones");
  if (static_cast<Index>(Z.start.size()) != X.rows() + 1 || Z.column.size() != Z.value.size())
    throw std::invalid_argument("Z: not one row for each row of X");
  pls_->objective(lambda_standard, true);
  const Index m = X.rows(), p = pls_->n_fixef(), q = pls->offset(n_terms());
  const Matrix U = pls_->cov_beta_root();
  const Matrix standard = product(X, basis_.T.topLeftCorner(p, p));
  Vector out(m);
  for (Index begin = 0; begin < m; begin += kPanel) {
    const Index count = std::min(kPanel, m - begin);
    RowMatrix B = RowMatrix::Zero(q, count);
    for (Index i = 0; i < count; ++i)
      for (Index e = Z.start[begin + i]; e < Z.start[begin + i + 1]; ++e) {
        if (Z.column[e] < 0 || Z.column[e] >= q)
          throw std::invalid_argument("Z: no random effect of this number");
        B(Z.column[e], i) += Z.value[e];
      }
    for (std::size_t t = 0; t < n_terms(); ++t) {
      const Index first = pls->offset(t), levels = (pls->offset(t + 1) - first) / pls_->k(t);
      scale_level_rows(basis_.Tz[t], true, levels, first, B);
    }
    const RowMatrix s = pls->solve_all(B);
    Matrix left = standard.middleRows(begin, count);
    left.noalias() -= s.transpose() * pls->cross().leftCols(p);
    out.segment(begin, count) = product(left, U).rowwise().squaredNorm();
    out.segment(begin, count) += B.cwiseProduct(s).colwise().sum().transpose();
    pause();
  }
  return out;
}

}  // namespace ranef
