#include "ranef/root.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "ranef/dense.hpp"
#include "ranef/errors.hpp"
#include "ranef/memory.hpp"
#include "ranef/threads.hpp"
#include "ranef/with_size.hpp"

namespace ranef {
namespace {

constexpr Index kAlwaysDense = 48;
// A root of which this share of a sample is filled before elimination ends up dense.
constexpr double kFilled = 0.2;
// A dense root from the first size on is solved by tiles of the second, by the team at hand.
constexpr Index kSolvedWhole = 1024, kSolvedTile = 256;
// Leading levels that meet more than this share of the root on average fill it.
constexpr double kMeets = 0.5;
// What one scattered operation costs in operations of a large dense product.
constexpr double kScatterCost = 20.0;

// Arrays below this many bytes are made without asking what the machine has.
constexpr double kAskMemory = 1e8;
// Bytes of a sparse factor, its inverse and its pattern for each nonzero.
constexpr double kSparseBytes = 20.0;

std::string gigabytes(double bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GB", bytes / 1e9);
  return text;
}

[[noreturn]] void throw_too_large(double bytes, double memory,
                                  const std::vector<TermProducts>& terms,
                                  const Coupling& coupling) {
  const bool scalar =
      coupling.k() == 1 &&
      std::all_of(terms.begin(), terms.end(), [](const TermProducts& t) { return t.k == 1; });
  throw ModelTooLarge(
      "the grouping factors of this model are crossed, and the exact method needs about " +
      gigabytes(bytes) + " for the Cholesky factor that couples them; " + gigabytes(memory) +
      " are free. " +
      (scalar
           ? "Fit by method='iterative' (or 'auto'), which needs memory for the rows' pairs alone."
           : "Leave out the crossed term with most levels, or keep only its intercept, "
             "(1 | group), and fit by method='iterative'."));
}

// For each root column, the leading levels that meet it.
struct Transposed {
  std::vector<Index> start;
  std::vector<std::int32_t> level;
};

Transposed transpose(const Coupling& coupling, Index n_root) {
  Transposed out;
  out.start.assign(n_root + 1, 0);
  for (Index e = 0; e < coupling.nonzeros(); ++e) ++out.start[coupling.column(e) + 1];
  for (Index j = 0; j < n_root; ++j) out.start[j + 1] += out.start[j];
  std::vector<Index> next(out.start.begin(), out.start.end() - 1);
  out.level.resize(coupling.nonzeros());
  for (Index l = 0; l < coupling.n_levels(); ++l)
    for (Index e = coupling.start(l); e < coupling.start(l + 1); ++e)
      out.level[next[coupling.column(e)]++] = static_cast<std::int32_t>(l);
  return out;
}

}  // namespace

bool DenseRoot::factor() { return cholesky_in_place(omega_); }

// By tiles, each of which is solved for and then taken out of the others.
void DenseRoot::solve_lower(RowMatrix& B) const {
  const Index n = omega_.rows();
  if (n < kSolvedWhole) {
    omega_.triangularView<Eigen::Lower>().solveInPlace(B);
    return;
  }
  for (Index j = 0; j < n; j += kSolvedTile) {
    const Index width = std::min(kSolvedTile, n - j), rest = n - j - width;
    auto own = B.middleRows(j, width);
    omega_.block(j, j, width, width).triangularView<Eigen::Lower>().solveInPlace(own);
    each_task((rest + kSolvedTile - 1) / kSolvedTile, [&](Index task) {
      const Index at = j + width + task * kSolvedTile, height = std::min(kSolvedTile, n - at);
      B.middleRows(at, height).noalias() -= omega_.block(at, j, height, width) * own;
    });
  }
}

void DenseRoot::solve_upper(RowMatrix& B) const {
  const Index n = omega_.rows();
  if (n < kSolvedWhole) {
    omega_.triangularView<Eigen::Lower>().transpose().solveInPlace(B);
    return;
  }
  for (Index tile = (n - 1) / kSolvedTile; tile >= 0; --tile) {
    const Index i = tile * kSolvedTile, height = std::min(kSolvedTile, n - i);
    auto own = B.middleRows(i, height);
    omega_.block(i, i, height, height).triangularView<Eigen::Lower>().transpose().solveInPlace(own);
    each_task(tile, [&](Index task) {
      const Index j = task * kSolvedTile;
      B.middleRows(j, kSolvedTile).noalias() -=
          omega_.block(i, j, height, kSolvedTile).transpose() * own;
    });
  }
}

void DenseRoot::invert() { inverse_from_cholesky(omega_, panel_); }

void DenseRoot::multiply_by_inverse(RowMatrix& B) const {
  B = (omega_.selfadjointView<Eigen::Lower>() * Matrix(B)).eval();
}

// Entries of Lambda_2'A_22 Lambda_2 in the lower triangle, always in the same order. Without lambda
// only the places are visited.
template <class Visit>
void Root::for_each_entry(const std::vector<Matrix>* lambda, Visit&& visit) const {
  Index widest = 1;
  for (const Index k : layout_.k) widest = std::max(widest, k);
  Workspace numbers(widest * widest), more(widest * widest);
  std::fill_n(numbers.data(), widest * widest, 0.0);
  for (std::size_t t = 0; t < terms_.size(); ++t) {
    const Index k = layout_.k[t];
    Eigen::Map<Matrix> block(numbers.data(), k, k), left(more.data(), k, k);
    for (Index l = 0; l < layout_.n_levels[t]; ++l) {
      const Index at = layout_.offset[t] + l * k;
      const double* own = terms_[t].own.data() + l * k * k;
      if (k == 1) {
        const double factor = lambda ? (*lambda)[t](0, 0) : 0.0;
        visit(at, at, factor * factor * own[0]);
        continue;
      }
      if (lambda) {
        left.noalias() = Eigen::Map<const Matrix>(own, k, k).lazyProduct((*lambda)[t]);
        block.noalias() = (*lambda)[t].transpose().lazyProduct(left);
      }
      for (Index j = 0; j < k; ++j)
        for (Index i = j; i < k; ++i) visit(at + i, at + j, block(i, j));
    }
  }
  for (std::size_t s = 0; s < pairs_.size(); ++s)
    for (std::size_t p = 0; p < pairs_[s].size(); ++p) {
      const std::size_t t = s + 1 + p;
      const PairProducts& pair = pairs_[s][p];
      const Index ks = layout_.k[s], kt = layout_.k[t];
      Eigen::Map<Matrix> block(numbers.data(), ks, kt), left(more.data(), ks, kt);
      for (Index l = 0; l < layout_.n_levels[s]; ++l)
        for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e) {
          const Index row = layout_.offset[t] + pair.level[e] * kt;
          const Index column = layout_.offset[s] + l * ks;
          const double* value = pair.value.data() + e * ks * kt;
          if (lambda && ks == 1 && kt == 1) {
            visit(row, column, (*lambda)[s](0, 0) * value[0] * (*lambda)[t](0, 0));
            continue;
          }
          if (lambda) {
            left.noalias() = Eigen::Map<const Matrix>(value, ks, kt).lazyProduct((*lambda)[t]);
            block.noalias() = (*lambda)[s].transpose().lazyProduct(left);
          }
          for (Index j = 0; j < ks; ++j)
            for (Index i = 0; i < kt; ++i) visit(row + i, column + j, block(j, i));
        }
    }
}

// Mean share of a root column that its leading levels fill, from at most 64 columns.
double Root::sampled_density(const Coupling& coupling) const {
  const Transposed by_column = transpose(coupling, size());
  std::vector<Index> seen(size(), -1);
  const Index step = std::max<Index>(1, size() / 64);
  double filled = 0.0;
  Index columns = 0;
  for (Index j = 0; j < size(); j += step, ++columns)
    for (Index q = by_column.start[j]; q < by_column.start[j + 1]; ++q) {
      const Index l = by_column.level[q];
      for (Index e = coupling.start(l); e < coupling.start(l + 1); ++e)
        if (seen[coupling.column(e)] != j) {
          seen[coupling.column(e)] = j;
          filled += 1.0;
        }
    }
  return filled / (static_cast<double>(columns) * static_cast<double>(size()));
}

std::vector<std::vector<std::int32_t>> Root::pattern(const Coupling& coupling) const {
  std::vector<std::vector<std::int32_t>> below(size());
  for_each_entry(nullptr, [&](Index i, Index j, double) {
    if (i != j) below[std::min(i, j)].push_back(static_cast<std::int32_t>(std::max(i, j)));
  });
  const Transposed by_column = transpose(coupling, size());
  for (Index j = 0; j < size(); ++j) {
    std::vector<std::int32_t>& column = below[j];
    for (Index q = by_column.start[j]; q < by_column.start[j + 1]; ++q) {
      const Index l = by_column.level[q];
      for (Index e = coupling.start(l + 1) - 1; e >= coupling.start(l) && coupling.column(e) > j;
           --e)
        column.push_back(coupling.column(e));
      if (column.size() > 4096) {
        std::sort(column.begin(), column.end());
        column.erase(std::unique(column.begin(), column.end()), column.end());
      }
    }
    std::sort(column.begin(), column.end());
    column.erase(std::unique(column.begin(), column.end()), column.end());
  }
  return below;
}

Root::Root(RootLayout layout, std::vector<TermProducts> terms,
           std::vector<std::vector<PairProducts>> pairs, Coupling& coupling)
    : layout_(std::move(layout)), terms_(std::move(terms)), pairs_(std::move(pairs)) {
  const double q = static_cast<double>(size());
  const double dense_bytes = 8.0 * q * q;
  // The system is asked only where it matters.
  const double memory = dense_bytes > kAskMemory ? free_memory() : HUGE_VAL;
  const bool fits = dense_bytes < kMemoryShare * memory;
  const double cells = static_cast<double>(coupling.n_levels() * coupling.k()) * q;
  const bool meets = static_cast<double>(coupling.nonzeros()) > kMeets * cells;
  const bool fills = size() > kAlwaysDense && (meets || sampled_density(coupling) > kFilled);
  if (size() <= kAlwaysDense || (fills && fits)) {
    kind_.emplace<DenseRoot>(size());
    return;
  }
  if (fills) throw_too_large(dense_bytes, memory, terms_, coupling);
  std::unique_ptr<SparseCholesky> cholesky;
  try {
    cholesky = std::make_unique<SparseCholesky>(size(), pattern(coupling),
                                                kMemoryShare * memory / kSparseBytes);
  } catch (const ModelTooLarge&) {
    if (!fits) throw_too_large(dense_bytes, memory, terms_, coupling);
    kind_.emplace<DenseRoot>(size());
    return;
  }
  if (fits && q * q * q < kScatterCost * 3.0 * cholesky->flops()) {
    kind_.emplace<DenseRoot>(size());
    return;
  }
  coupling.use_entries();
  std::vector<Index> own, cliques;
  for_each_entry(nullptr,
                 [&](Index i, Index j, double) { own.push_back(cholesky->position(i, j)); });
  for (Index l = 0; l < coupling.n_levels(); ++l)
    for (Index a = coupling.start(l); a < coupling.start(l + 1); ++a)
      for (Index b = a; b < coupling.start(l + 1); ++b)
        cliques.push_back(cholesky->position(coupling.column(b), coupling.column(a)));
  kind_.emplace<SparseRoot>(std::move(cholesky), std::move(own), std::move(cliques));
}

bool Root::factor(const std::vector<Matrix>& lambda, const Matrix& K, Coupling& coupling) {
  if (size() == 0) return true;
  inverted_ = false;
  coupling.scale(lambda);
  if (auto* dense = std::get_if<DenseRoot>(&kind_)) {
    Matrix& omega = dense->omega();
    omega.setZero();
    omega.diagonal().setOnes();
    for_each_entry(&lambda, [&](Index i, Index j, double value) {
      omega(std::max(i, j), std::min(i, j)) += value;
    });
    coupling.downdate(K, omega);
    return dense->factor();
  }
  SparseRoot& sparse = std::get<SparseRoot>(kind_);
  SparseCholesky& cholesky = sparse.cholesky();
  Vector& value = cholesky.values();
  value.setZero();
  const Index* own = sparse.own().data();
  for_each_entry(&lambda, [&](Index i, Index j, double v) { value(*own++) += v + (i == j); });
  const Index* place = sparse.cliques().data();
  coupling.for_each_downdate(K,
                             [&](std::int32_t, std::int32_t, double v) { value(*place++) -= v; });
  return cholesky.factor();
}

double Root::log_determinant() const {
  if (size() == 0) return 0.0;
  if (const auto* dense = std::get_if<DenseRoot>(&kind_)) return dense->log_determinant();
  return std::get<SparseRoot>(kind_).cholesky().log_determinant();
}

void Root::solve_lower(RowMatrix& B) const {
  if (const auto* dense = std::get_if<DenseRoot>(&kind_)) return dense->solve_lower(B);
  std::get<SparseRoot>(kind_).cholesky().solve_lower(B);
}

Index Root::reach(const std::vector<std::int32_t>& rows, std::vector<std::int32_t>& slot) const {
  if (is_sparse()) return std::get<SparseRoot>(kind_).cholesky().reach(rows, slot);
  for (const std::int32_t i : rows) slot[i] = i;
  return size();
}

void Root::solve_reached(RowMatrix& B) const {
  if (is_sparse()) return std::get<SparseRoot>(kind_).cholesky().solve_reached(B);
  solve_lower(B);
}

void Root::solve_upper(RowMatrix& B) const {
  if (const auto* dense = std::get_if<DenseRoot>(&kind_)) return dense->solve_upper(B);
  std::get<SparseRoot>(kind_).cholesky().solve_upper(B);
}

void Root::invert() {
  if (inverted_) return;
  std::visit([](auto& kind) { kind.invert(); }, kind_);
  inverted_ = true;
}

void Root::solve(RowMatrix& B) const {
  const auto* dense = std::get_if<DenseRoot>(&kind_);
  if (dense && inverted_) return dense->multiply_by_inverse(B);
  solve_lower(B);
  solve_upper(B);
}

void Root::renew(const CrossProducts& products) {
  for (std::size_t t = 0; t < terms_.size(); ++t) {
    terms_[t].own = products.terms[t + 1].own;
    for (std::size_t p = 0; p < pairs_[t].size(); ++p)
      pairs_[t][p].value = products.pairs[t + 1][p].value;
  }
}

void Root::inverse_block(std::size_t t, Index level, Matrix& block) const {
  const Index k = layout_.k[t], at = layout_.offset[t] + level * k;
  if (const auto* dense = std::get_if<DenseRoot>(&kind_)) {
    for (Index j = 0; j < k; ++j)
      for (Index i = j; i < k; ++i) block(i, j) = block(j, i) = dense->inverse(at + i, at + j);
    return;
  }
  const SparseRoot& sparse = std::get<SparseRoot>(kind_);
  Index first = 0;  // A_22's own entries come term by term, level by level
  for (std::size_t s = 0; s < t; ++s)
    first += layout_.n_levels[s] * layout_.k[s] * (layout_.k[s] + 1) / 2;
  const Index* own = sparse.own().data() + first + level * k * (k + 1) / 2;
  for (Index j = 0; j < k; ++j)
    for (Index i = j; i < k; ++i) block(i, j) = block(j, i) = sparse.inverse()(*own++);
}

void Root::inverse_pairs(std::vector<std::vector<Matrix>>& blocks) const {
  const auto* dense = std::get_if<DenseRoot>(&kind_);
  const auto* sparse = std::get_if<SparseRoot>(&kind_);
  Index own = 0;  // A_22's own entries come first, then those of each pair
  for (std::size_t t = 0; t < terms_.size(); ++t)
    own += layout_.n_levels[t] * layout_.k[t] * (layout_.k[t] + 1) / 2;
  blocks.resize(pairs_.size());
  for (std::size_t s = 0; s < pairs_.size(); ++s) {
    blocks[s].resize(pairs_[s].size());
    for (std::size_t p = 0; p < pairs_[s].size(); ++p) {
      const PairProducts& pair = pairs_[s][p];
      const std::size_t t = s + 1 + p;
      const Index ks = layout_.k[s], kt = layout_.k[t];
      blocks[s][p].resize(pair.value.rows(), pair.value.cols());
      for (Index l = 0; l < layout_.n_levels[s]; ++l)
        for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e) {
          const Index row = layout_.offset[t] + pair.level[e] * kt;
          const Index column = layout_.offset[s] + l * ks;
          Eigen::Map<Matrix> block(blocks[s][p].col(e).data(), ks, kt);
          for (Index j = 0; j < ks; ++j)
            for (Index i = 0; i < kt; ++i)
              block(j, i) = dense ? dense->inverse(std::max(row + i, column + j),
                                                   std::min(row + i, column + j))
                                  : sparse->inverse()(sparse->own()[own++]);
        }
    }
  }
}

void Root::multiply(Coupling& coupling, Matrix& product, Matrix& G) {
  if (auto* dense = std::get_if<DenseRoot>(&kind_))
    return coupling.multiply(dense->omega(), product, G);
  const SparseRoot& sparse = std::get<SparseRoot>(kind_);
  const Index* place = sparse.cliques().data();
  const Vector& inverse = sparse.inverse();
  coupling.for_each_product([&](std::int32_t, std::int32_t) { return inverse(*place++); }, product,
                            G);
}

void Root::inverse_rows(Index first, RowMatrix& rows) const {
  const DenseRoot& dense = std::get<DenseRoot>(kind_);
  for (Index j = 0; j < rows.cols(); ++j)
    for (Index i = 0; i < rows.rows(); ++i)
      rows(i, j) = dense.inverse(std::max(first + i, j), std::min(first + i, j));
}

void Root::quadratic(Coupling& coupling, Matrix& G) {
  if (auto* dense = std::get_if<DenseRoot>(&kind_)) return coupling.quadratic(dense->omega(), G);
  const SparseRoot& sparse = std::get<SparseRoot>(kind_);
  const Index* place = sparse.cliques().data();
  const Vector& inverse = sparse.inverse();
  coupling.for_each_quadratic([&](std::int32_t, std::int32_t) { return inverse(*place++); }, G);
}

}  // namespace ranef
