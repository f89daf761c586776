// Rows of a few columns, chunk by chunk: threads share the chunks, and sums over them are added up
// in their order.
#pragma once

#include <algorithm>
#include <type_traits>

#include "ranef/eigen.hpp"
#include "ranef/threads.hpp"

namespace ranef {

constexpr Index kChunkRows = 2048;

// Call work(begin, end) for parts of 0 .. count - 1; which thread takes which is left to chance.
// One takes all where so many operations are done before another one wakes up.
template <class Work>
void in_parts(Team& team, Index count, double operations, Work&& work) {
  constexpr double kWorthThreads = 1 << 15;
  if (team.size() == 1 || operations < kWorthThreads) return work(Index{0}, count);
  split(team, count, [&](int, Index begin, Index end) { work(begin, end); });
}

// work(chunk, begin, end) for the chunks of so many rows.
template <class Work>
void in_chunks(Team& team, Index rows, double operations, Work&& work) {
  in_parts(team, (rows + kChunkRows - 1) / kChunkRows, operations, [&](Index first, Index last) {
    for (Index chunk = first; chunk < last; ++chunk)
      work(chunk, chunk * kChunkRows, std::min(rows, (chunk + 1) * kChunkRows));
  });
}

// Sums of m numbers over rows: add(begin, end, sums) adds those of a chunk.
template <class Add>
Vector chunk_sums(Team& team, Index rows, Index m, double operations, Add&& add) {
  RowMatrix part = RowMatrix::Zero((rows + kChunkRows - 1) / kChunkRows, m);
  in_chunks(team, rows, operations,
            [&](Index chunk, Index begin, Index end) { add(begin, end, part.data() + chunk * m); });
  Vector sum = Vector::Zero(m);
  for (Index chunk = 0; chunk < part.rows(); ++chunk) sum += part.row(chunk).transpose();
  return sum;
}

template <int M>
using Cells = Eigen::Map<Eigen::Array<double, M, 1>>;
template <int M>
using ConstCells = Eigen::Map<const Eigen::Array<double, M, 1>>;

// visit(size, at, column) for rows begin .. end - 1 of m columns: `size` of them from `column` on,
// which begin at `at`. What it returns is added to sum + column.
template <class Visit>
void each_row(Index begin, Index end, Index m, double* sum, Visit&& visit) {
  Index column = 0;
  const auto pass = [&](auto size) {
    constexpr int M = decltype(size)::value;
    Eigen::Array<double, M, 1> total = Eigen::Array<double, M, 1>::Zero();
    for (Index row = begin; row < end; ++row) total += visit(size, row * m + column, column);
    Cells<M>(sum + column) += total;
    column += M;
  };
  while (column < m) {
    const Index left = m - column;
    if (left >= 8)
      pass(std::integral_constant<int, 8>{});
    else if (left >= 4)
      pass(std::integral_constant<int, 4>{});
    else if (left >= 2)
      pass(std::integral_constant<int, 2>{});
    else
      pass(std::integral_constant<int, 1>{});
  }
}

}  // namespace ranef
