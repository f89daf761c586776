#include "ranef/prediction.hpp"

#include "ranef/dense.hpp"
#include "ranef/interrupt.hpp"

namespace ranef {

Vector error_variances(LeastSquares& pls, const FittedErrors& fit, const Matrix& X,
                       const std::vector<NewTerm>& terms, const std::vector<RowMatrix>& ZWX) {
  const Index rows = X.rows();
  const std::size_t n_terms = fit.lambda.size();
  Vector fresh = Vector::Zero(rows);  // of levels not seen
  std::vector<const std::int32_t*> codes(n_terms);
  std::vector<RowMatrix> z(n_terms);
  RowMatrix fixed = X;
  const std::vector<RowMatrix> DZWX = pls.solve(ZWX);
  for (std::size_t t = 0; t < n_terms; ++t) {
    const NewTerm& term = terms[fit.place[t]];
    const Index k = pls.k(t);
    codes[t] = term.codes;
    if (!term.codes) continue;
    z[t] = product(term.z, fit.Tz[t]);
    for (Index i = 0; i < rows; ++i) {
      const std::int32_t level = term.codes[i];
      if (level < 0)
        fresh(i) += (fit.lambda[t].transpose() * z[t].row(i).transpose()).squaredNorm();
      else
        fixed.row(i).noalias() -= z[t].row(i) * DZWX[t].middleRows(level * k, k);
    }
    pause();
  }
  return fresh + pls.variances(codes, z, rows) + (fixed * fit.root).rowwise().squaredNorm();
}

}  // namespace ranef
