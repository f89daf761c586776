#include "ranef/prediction.hpp"

namespace ranef {
namespace {

constexpr Index kPanel = 64;  // rows solved for together

}  // namespace

Vector error_variances(LeastSquares& pls, const FittedErrors& fit, const Matrix& X,
                       const std::vector<NewTerm>& terms,
                       const std::function<Matrix(const std::vector<RowMatrix>&)>& fixed_products) {
  const Index rows = X.rows();
  const std::size_t n_terms = fit.lambda.size();
  Vector out = Vector::Zero(rows);
  for (Index start = 0; start < rows; start += kPanel) {
    const Index count = std::min(kPanel, rows - start);
    std::vector<RowMatrix> B(n_terms);
    bool any = false;
    for (std::size_t t = 0; t < n_terms; ++t) {
      const Index k = pls.k(t);
      B[t] = RowMatrix::Zero(pls.n_levels(t) * k, count);
      const NewTerm& term = terms[fit.place[t]];
      if (!term.codes) continue;
      for (Index i = 0; i < count; ++i) {
        const Vector z = fit.Tz[t].transpose() * term.z.row(start + i).transpose();
        const std::int32_t level = term.codes[start + i];
        if (level < 0) {
          out(start + i) += (fit.lambda[t].transpose() * z).squaredNorm();
        } else {
          B[t].col(i).segment(level * k, k) = z;
          any = true;
        }
      }
    }
    Matrix fixed = X.middleRows(start, count).transpose();
    if (any) {
      const std::vector<RowMatrix> s = pls.solve(B);
      for (std::size_t t = 0; t < n_terms; ++t)
        for (Index i = 0; i < count; ++i) out(start + i) += B[t].col(i).dot(s[t].col(i));
      fixed -= fixed_products(s);
    }
    out.segment(start, count) += (fit.root.transpose() * fixed).colwise().squaredNorm().transpose();
  }
  return out;
}

}  // namespace ranef
