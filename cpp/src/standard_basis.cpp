#include "ranef/standard_basis.hpp"

#include <algorithm>
#include <cmath>

#include "ranef/dense.hpp"
#include "ranef/errors.hpp"
#include "ranef/turned.hpp"
#include "ranef/with_size.hpp"

namespace ranef {
namespace {

// Below this share of its squared length a column's remainder is lost in the rounding of A.
constexpr double kCrossProductTolerance = 1e-8;
// A column is aliased when less than this share of its length is its own.
constexpr double kAliasTolerance = 1e-7;
// A response of which less is left is reproduced by X up to rounding.
constexpr double kPerfectShare = 1e-11;

// Share of each pivot in its diagonal during a Cholesky of G; the smallest of them.
double smallest_pivot_share(const Matrix& G) {
  const Index n = G.cols();
  Matrix R = Matrix::Zero(n, n);
  double smallest = 1.0;
  for (Index j = 0; j < n; ++j) {
    double pivot = G(j, j);
    for (Index i = 0; i < j; ++i) {
      R(i, j) = G(i, j) - R.col(i).head(i).dot(R.col(j).head(i));
      R(i, j) /= R(i, i);
      pivot -= R(i, j) * R(i, j);
    }
    if (!(pivot > kCrossProductTolerance * G(j, j)) || !(G(j, j) > 0.0)) return 0.0;
    smallest = std::min(smallest, pivot / G(j, j));
    R(j, j) = std::sqrt(pivot);
  }
  return smallest;
}

std::vector<std::vector<int>> columns_by_block(const TermInput& term) {
  std::vector<std::vector<int>> blocks;
  for (std::size_t j = 0; j < term.blocks.size(); ++j) {
    if (term.blocks[j] >= static_cast<int>(blocks.size())) blocks.resize(term.blocks[j] + 1);
    blocks[term.blocks[j]].push_back(static_cast<int>(j));
  }
  return blocks;
}

Matrix select(const Matrix& G, const std::vector<int>& index) {
  Matrix out(index.size(), index.size());
  for (std::size_t j = 0; j < index.size(); ++j)
    for (std::size_t i = 0; i < index.size(); ++i) out(i, j) = G(index[i], index[j]);
  return out;
}

RowMatrix select_columns(const RowMatrix& rows, const std::vector<int>& index) {
  RowMatrix out(rows.rows(), static_cast<Index>(index.size()));
  for (Index i = 0; i < out.rows(); ++i)
    for (Index j = 0; j < out.cols(); ++j) out(i, j) = rows(i, index[j]);
  return out;
}

Matrix own_total(const TermProducts& term) {
  const Vector sum = term.own.rowwise().sum();
  return Eigen::Map<const Matrix>(sum.data(), term.k, term.k);
}

// S of [columns shifted and scaled] = [columns] S, where references[i] == kIntercept takes the
// shifts.
Matrix shift_matrix(const std::vector<int>& references, const std::vector<Affine>& affine) {
  const Index k = static_cast<Index>(affine.size());
  Matrix S = Matrix::Zero(k, k);
  Index constant = -1;
  for (std::size_t j = 0; j < references.size(); ++j)
    if (references[j] == kIntercept && constant < 0) constant = static_cast<Index>(j);
  for (Index j = 0; j < k; ++j) {
    S(j, j) = affine[j].scale;
    if (constant >= 0 && affine[j].shift != 0.0)
      S(constant, j) = -affine[j].shift * affine[j].scale;
  }
  return S;
}

// S of a term: shifts are absorbed by the constant of the column's own block.
Matrix shift_matrix(const TermInput& term, const std::vector<Affine>& affine) {
  const Index k = static_cast<Index>(affine.size());
  Matrix S = Matrix::Zero(k, k);
  for (const std::vector<int>& block : columns_by_block(term)) {
    std::vector<int> references;
    std::vector<Affine> of_block;
    for (int j : block) {
      references.push_back(term.columns[j]);
      of_block.push_back(affine[j]);
    }
    const Matrix S_block = shift_matrix(references, of_block);
    for (std::size_t j = 0; j < block.size(); ++j)
      for (std::size_t i = 0; i < block.size(); ++i) S(block[i], block[j]) = S_block(i, j);
  }
  return S;
}

// R^-1 with R'R = G / n, upper triangular.
Matrix inverse_root(const Matrix& G, double n) {
  const Eigen::LLT<Matrix> llt(Matrix(G / n));
  Matrix inverse = Matrix::Identity(G.rows(), G.cols());
  llt.matrixU().solveInPlace(inverse);
  return inverse;
}

// Scales of the columns of a structure from their squared lengths: one for all of them where the
// structure does not commute with others.
Vector structure_scale(const Structure& structure, const Vector& squares, double n) {
  const double mean = squares.mean();
  Vector scale(squares.size());
  for (Index j = 0; j < scale.size(); ++j) {
    const double square = structure.is_scalable() && squares(j) > 0.0 ? squares(j) : mean;
    scale(j) = square > 0.0 ? std::sqrt(n / square) : 1.0;
  }
  return scale;
}

// Like inverse_root for a term, block by block; a column without own remainder is only scaled.
Matrix term_inverse_root(const TermInput& term, const Matrix& G, double n) {
  Matrix out = Matrix::Zero(G.rows(), G.cols());
  for (const std::vector<int>& block : columns_by_block(term)) {
    Matrix sub = select(G, block);
    if (const Structure* structure = term.structure(term.blocks[block[0]])) {
      const Vector scale = structure_scale(*structure, sub.diagonal(), n);
      for (std::size_t j = 0; j < block.size(); ++j)
        out(block[j], block[j]) = scale(static_cast<Index>(j));
      continue;
    }
    if (smallest_pivot_share(sub) == 0.0) {
      Vector diagonal = sub.diagonal();
      for (Index j = 0; j < diagonal.size(); ++j)
        if (!(diagonal(j) > 0.0)) diagonal(j) = n;
      sub = diagonal.asDiagonal();
    }
    const Matrix inverse = inverse_root(sub, n);
    for (std::size_t j = 0; j < block.size(); ++j)
      for (std::size_t i = 0; i <= j; ++i) out(block[i], block[j]) = inverse(i, j);
  }
  return out;
}

// B <- L' B R in place for each level's block of k rows and as many columns as R.
template <int K>
void transform_blocks(const Matrix& L, const Matrix& R, Index k, Matrix& blocks) {
  using Small = Eigen::Matrix<double, K, Eigen::Dynamic>;
  const Index columns = R.cols();
  const Eigen::Matrix<double, K, K> Lt = L.transpose();
  Small work(k, columns);
  for (Index l = 0; l < blocks.cols(); ++l) {
    Eigen::Map<Small> B(blocks.data() + l * k * columns, k, columns);
    work.noalias() = B.lazyProduct(R);
    B.noalias() = Lt.lazyProduct(work);
  }
}

// Rows of each level: B <- L' B.
template <int K>
void transform_rows(const Matrix& L, Index k, RowMatrix& rows) {
  using Small =
      Eigen::Matrix<double, K, Eigen::Dynamic, K == 1 ? Eigen::RowMajor : Eigen::ColMajor>;
  const Eigen::Matrix<double, K, K> Lt = L.transpose();
  Small work(k, rows.cols());
  for (Index row = 0; row < rows.rows(); row += k) {
    work.noalias() = Lt.lazyProduct(rows.middleRows(row, k));
    rows.middleRows(row, k) = work;
  }
}

bool is_identity(const Matrix& M) { return M.isIdentity(0.0); }

// Rows of [Z'X Z'y] times R, in panels so that nothing of their size is copied.
void multiply_right(const Matrix& R, RowMatrix& rows) {
  constexpr Index kPanel = 512;
  for (Index row = 0; row < rows.rows(); row += kPanel) {
    const Index count = std::min(kPanel, rows.rows() - row);
    const Matrix work = crossprod(R, turned(rows).middleCols(row, count));
    rows.middleRows(row, count) = Eigen::Map<const RowMatrix>(work.data(), count, rows.cols());
  }
}

void transform(const Matrix& Tx, const std::vector<Matrix>& Tz, CrossProducts& products) {
  for (std::size_t t = 0; t < products.terms.size(); ++t) {
    TermProducts& term = products.terms[t];
    multiply_right(Tx, term.xy);
    if (is_identity(Tz[t])) continue;
    with_size(term.k, [&](auto size) {
      constexpr int K = decltype(size)::value;
      transform_rows<K>(Tz[t], term.k, term.xy);
      transform_blocks<K>(Tz[t], Tz[t], term.k, term.own);
    });
  }
  for (std::size_t s = 0; s < products.pairs.size(); ++s)
    for (std::size_t j = 0; j < products.pairs[s].size(); ++j) {
      const Matrix& right = Tz[s + 1 + j];
      if (is_identity(Tz[s]) && is_identity(right)) continue;
      const Index k = products.terms[s].k;
      with_size(k, [&](auto size) {
        transform_blocks<decltype(size)::value>(Tz[s], right, k, products.pairs[s][j].value);
      });
    }
}

// Columns being orthonormalised under the weights, one at a time.
class GramSchmidt {
 public:
  GramSchmidt(const Input& input, std::vector<Vector>& storage)
      : input_(input), storage_(storage) {}

  // Orthogonalise v against `basis`; its coefficients on them, and the share of v left over.
  double project(const std::vector<int>& basis, Vector& v, Vector& coefficients) const {
    const double length = std::sqrt(dot(v, v));
    coefficients.setZero(static_cast<Index>(basis.size()));
    const double n = static_cast<double>(input_.n);
    for (int pass = 0; pass < 2; ++pass)
      for (std::size_t i = 0; i < basis.size(); ++i) {
        const double r = dot(storage_[basis[i]], v) / n;
        v -= r * storage_[basis[i]];
        coefficients(static_cast<Index>(i)) += r;
      }
    return length > 0.0 ? std::sqrt(dot(v, v)) / length : 0.0;
  }

  // Scale v to squared length n and keep it; its former length over the root of n.
  double keep(Vector v) {
    const double size = std::sqrt(dot(v, v) / static_cast<double>(input_.n));
    const double divisor = size > 0.0 ? size : 1.0;
    storage_.push_back(v / divisor);
    return divisor;
  }

  Vector column(int reference, const Affine& a) const {
    if (reference == kIntercept) return Vector::Ones(input_.n);
    return shifted(input_.columns[reference], a);
  }

  double square(const Vector& v) const { return dot(v, v); }

  Vector shifted(const double* x, const Affine& a) const {
    return (Eigen::Map<const Vector>(x, input_.n).array() - a.shift) * a.scale;
  }

 private:
  const Input& input_;
  std::vector<Vector>& storage_;

  double dot(const Vector& a, const Vector& b) const {
    if (!input_.weights) return a.dot(b);
    return (a.array() * b.array() * Eigen::Map<const Vector>(input_.weights, input_.n).array())
        .sum();
  }
};

// Invert an upper triangular matrix.
Matrix inverse_upper(const Matrix& R) {
  Matrix inverse = Matrix::Identity(R.rows(), R.cols());
  R.triangularView<Eigen::Upper>().solveInPlace(inverse);
  return inverse;
}

void refine_fixed(const Input& input, const Shifts& shifts, GramSchmidt& columns,
                  RefinedInput& out) {
  const std::size_t p = input.fixed.size();
  std::vector<int> kept_storage;
  std::vector<Vector> rows_of_R, alias_coefficients;
  Vector coefficients;
  for (std::size_t j = 0; j < p; ++j) {
    Vector v = columns.column(input.fixed[j], shifts.xy[j]);
    const double share = columns.project(kept_storage, v, coefficients);
    if (share < kAliasTolerance) {
      out.basis.aliased.push_back(static_cast<int>(j));
      alias_coefficients.push_back(coefficients);
      continue;
    }
    out.basis.kept.push_back(static_cast<int>(j));
    kept_storage.push_back(static_cast<int>(out.storage.size()));
    Vector r(coefficients.size() + 1);
    r << coefficients, columns.keep(std::move(v));
    rows_of_R.push_back(std::move(r));
  }
  Vector y = columns.shifted(input.y, shifts.xy[p]);
  const double left = columns.project(kept_storage, y, coefficients);
  if (left < kPerfectShare)
    throw PerfectFit("the fixed effects reproduce the response exactly, so no variance is left");
  Vector r(coefficients.size() + 1);
  r << coefficients, columns.keep(std::move(y));
  rows_of_R.push_back(std::move(r));

  const Index c = static_cast<Index>(rows_of_R.size());
  Matrix R = Matrix::Zero(c, c);
  for (Index j = 0; j < c; ++j) R.col(j).head(j + 1) = rows_of_R[j];
  std::vector<int> references;
  std::vector<Affine> affine;
  for (int j : out.basis.kept) {
    references.push_back(input.fixed[j]);
    affine.push_back(shifts.xy[j]);
  }
  affine.push_back(shifts.xy[p]);
  out.basis.T = product(shift_matrix(references, affine), inverse_upper(R));

  out.basis.alias.setZero(c - 1, static_cast<Index>(out.basis.aliased.size()));
  for (std::size_t a = 0; a < alias_coefficients.size(); ++a) {
    const Affine& shift = shifts.xy[out.basis.aliased[a]];
    const Vector& on_kept = alias_coefficients[a];
    auto column = out.basis.alias.col(static_cast<Index>(a));
    column = product(out.basis.T.topLeftCorner(c - 1, on_kept.size()), on_kept) / shift.scale;
    for (std::size_t i = 0; i < references.size(); ++i)
      if (references[i] == kIntercept) {
        column(static_cast<Index>(i)) += shift.shift;
        break;
      }
  }
  for (int s : kept_storage) out.input.fixed.push_back(s);
}

TermInput refine_term(const TermInput& term, const std::vector<Affine>& affine,
                      GramSchmidt& columns, RefinedInput& out) {
  TermInput refined{term.codes, term.n_levels, std::vector<int>(term.columns.size()), term.blocks,
                    term.structures};
  const Index k = static_cast<Index>(term.columns.size());
  Matrix R = Matrix::Zero(k, k);
  for (const std::vector<int>& block : columns_by_block(term)) {
    std::vector<int> basis, members;
    Vector coefficients;
    if (const Structure* structure = term.structure(term.blocks[block[0]])) {
      Vector squares(static_cast<Index>(block.size()));
      for (std::size_t j = 0; j < block.size(); ++j)
        squares(static_cast<Index>(j)) = columns.square(columns.column(term.columns[block[j]], {}));
      const Vector scale = structure_scale(*structure, squares, static_cast<double>(out.input.n));
      for (std::size_t j = 0; j < block.size(); ++j) {
        const double by = scale(static_cast<Index>(j));
        refined.columns[block[j]] = static_cast<int>(out.storage.size());
        R(block[j], block[j]) = 1.0 / by;
        out.storage.push_back(by * columns.column(term.columns[block[j]], {}));
      }
      continue;
    }
    for (int j : block) {
      Vector v = columns.column(term.columns[j], affine[j]);
      const Vector whole = v;
      const bool own = columns.project(basis, v, coefficients) >= kAliasTolerance;
      refined.columns[j] = static_cast<int>(out.storage.size());
      R(j, j) = columns.keep(own ? v : whole);
      if (!own) continue;
      for (std::size_t i = 0; i < members.size(); ++i)
        R(members[i], j) = coefficients(static_cast<Index>(i));
      basis.push_back(refined.columns[j]);
      members.push_back(j);
    }
  }
  out.basis.Tz.push_back(product(shift_matrix(term, affine), inverse_upper(R)));
  return refined;
}

}  // namespace

Vector stand_in(Index n) {
  Vector y(n);
  std::uint32_t state = 1;
  for (Index i = 0; i < n; ++i) {
    state = 1664525u * state + 1013904223u;
    y(i) = static_cast<double>(state) / 4294967296.0 - 0.5;
  }
  return y;
}

bool needs_refinement(const Input& input, const CrossProducts& products) {
  if (smallest_pivot_share(products.gram) == 0.0) return true;
  for (std::size_t t = 0; t < input.terms.size(); ++t) {
    const Matrix total = own_total(products.terms[t]);
    for (const std::vector<int>& block : columns_by_block(input.terms[t]))
      if (block.size() > 1 && !input.terms[t].structure(input.terms[t].blocks[block[0]]) &&
          smallest_pivot_share(select(total, block)) == 0.0)
        return true;
  }
  return false;
}

RefinedInput refine(const Input& input, const Shifts& shifts) {
  RefinedInput out;
  out.input.n = input.n;
  out.input.weights = input.weights;
  GramSchmidt columns(input, out.storage);
  refine_fixed(input, shifts, columns, out);
  const std::size_t response = out.storage.size() - 1;
  for (std::size_t t = 0; t < input.terms.size(); ++t)
    out.input.terms.push_back(refine_term(input.terms[t], shifts.terms[t], columns, out));
  for (const Vector& column : out.storage) out.input.columns.push_back(column.data());
  out.input.y = out.storage[response].data();
  out.shifts.xy.resize(out.input.fixed.size() + 1);
  for (const TermInput& term : out.input.terms) out.shifts.terms.emplace_back(term.columns.size());
  return out;
}

// before^-1 after of two shift matrices: rows of one element, and then those of constants.
static Matrix change(const Matrix& before, Matrix after) {
  const auto is_alone = [&](Index i) {
    for (Index j = 0; j < before.cols(); ++j)
      if (j != i && before(i, j) != 0.0) return false;
    return true;
  };
  for (bool alone : {true, false})
    for (Index i = 0; i < before.rows(); ++i) {
      if (is_alone(i) != alone) continue;
      for (Index j = 0; j < before.cols(); ++j)
        if (j != i && before(i, j) != 0.0) after.row(i) -= before(i, j) * after.row(j);
      after.row(i) /= before(i, i);
    }
  return after;
}

void reshift(const Input& input, const Shifts& from, const Shifts& to, CrossProducts& products) {
  const Matrix Tx = change(shift_matrix(input.fixed, from.xy), shift_matrix(input.fixed, to.xy));
  std::vector<Matrix> Tz;
  for (std::size_t t = 0; t < input.terms.size(); ++t)
    Tz.push_back(change(shift_matrix(input.terms[t], from.terms[t]),
                        shift_matrix(input.terms[t], to.terms[t])));
  transform(Tx, Tz, products);
  products.gram = product(crossprod(Tx, products.gram), Tx);
}

void drop_aliased(Input& input, Shifts& shifts, CrossProducts& products, StandardBasis& basis) {
  const Matrix& G = products.gram;
  const Index c = G.cols();
  Matrix R = Matrix::Zero(c, c);  // of the kept columns, one after the other
  std::vector<int> kept;          // columns of G
  std::vector<Vector> on_kept;
  for (Index j = 0; j < c; ++j) {
    const Index r = static_cast<Index>(kept.size());
    Vector v(r);
    for (Index i = 0; i < r; ++i) v(i) = G(kept[i], j);
    R.topLeftCorner(r, r).transpose().triangularView<Eigen::Lower>().solveInPlace(v);
    const double pivot = G(j, j) - v.squaredNorm();
    if (!(pivot > kCrossProductTolerance * G(j, j))) {
      if (j == c - 1)
        throw PerfectFit("the fixed effects reproduce the response, so no variance is left");
      R.topLeftCorner(r, r).triangularView<Eigen::Upper>().solveInPlace(v);
      basis.aliased.push_back(static_cast<int>(j));
      on_kept.push_back(v);
      continue;
    }
    R.col(r).head(r) = v;
    R(r, r) = std::sqrt(pivot);
    kept.push_back(static_cast<int>(j));
    if (j < c - 1) basis.kept.push_back(static_cast<int>(j));
  }
  // x_j = S_j (columns as accumulated): back to the user's columns by the shifts of the kept ones.
  Input left = input;
  Shifts shifts_left = shifts;
  left.fixed.clear();
  shifts_left.xy.clear();
  for (int j : kept) {
    shifts_left.xy.push_back(shifts.xy[j]);
    if (j < c - 1) left.fixed.push_back(input.fixed[j]);
  }
  const Index p = static_cast<Index>(left.fixed.size());
  const Matrix S = shift_matrix(left.fixed, shifts_left.xy).topLeftCorner(p, p);
  basis.alias.setZero(p, static_cast<Index>(on_kept.size()));
  for (std::size_t a = 0; a < on_kept.size(); ++a) {
    const Affine& shift = shifts.xy[basis.aliased[a]];
    auto column = basis.alias.col(static_cast<Index>(a));
    column = product(S.leftCols(on_kept[a].size()), on_kept[a]) / shift.scale;
    for (Index i = 0; i < p; ++i)
      if (left.fixed[i] == kIntercept) {
        column(i) += shift.shift;
        break;
      }
  }
  products.gram = select(products.gram, kept);
  for (TermProducts& term : products.terms) term.xy = select_columns(term.xy, kept);
  input = std::move(left);
  shifts = std::move(shifts_left);
}

StandardBasis standardise(const Input& input, const Shifts& shifts, CrossProducts& products) {
  const double n = static_cast<double>(products.n);
  StandardBasis basis;
  for (std::size_t j = 0; j < input.fixed.size(); ++j) basis.kept.push_back(static_cast<int>(j));
  const Matrix R = inverse_root(products.gram, n);
  basis.T = product(shift_matrix(input.fixed, shifts.xy), R);
  std::vector<Matrix> roots;
  for (std::size_t t = 0; t < input.terms.size(); ++t) {
    roots.push_back(term_inverse_root(input.terms[t], own_total(products.terms[t]), n));
    basis.Tz.push_back(product(shift_matrix(input.terms[t], shifts.terms[t]), roots.back()));
  }
  transform(R, roots, products);
  products.gram = n * Matrix::Identity(R.rows(), R.cols());
  return basis;
}

StandardBasis compose(const StandardBasis& outer, const StandardBasis& inner) {
  StandardBasis basis = outer;
  basis.T = product(outer.T, inner.T);
  for (std::size_t t = 0; t < inner.Tz.size(); ++t) basis.Tz[t] = product(outer.Tz[t], inner.Tz[t]);
  return basis;
}

}  // namespace ranef
