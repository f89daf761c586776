// How much memory this machine has, and how large arrays are laid out in it.
#pragma once

#include <cstdint>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "ranef/eigen.hpp"

namespace ranef {

// Bytes of physical memory; 16 GB where the system does not tell.
inline double machine_memory() {
#if defined(_SC_PHYS_PAGES) && defined(_SC_PAGESIZE)
  const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
  if (pages > 0 && bytes > 0) return static_cast<double>(pages) * static_cast<double>(bytes);
#endif
  return 16e9;
}

// Resize an array without touching it. A large one asks for large pages: the system then hands over
// 2 MB at a time instead of 4 kB, which is most of what a first pass over it costs.
template <class Array>
void resize_large(Array& array, Index rows, Index cols) {
  if (array.rows() == rows && array.cols() == cols) return;
  array.resize(rows, cols);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t kPage = std::uintptr_t{1} << 21;
  const auto begin = reinterpret_cast<std::uintptr_t>(array.data());
  const std::uintptr_t end = begin + sizeof(double) * static_cast<std::uintptr_t>(array.size());
  const std::uintptr_t first = (begin + kPage - 1) / kPage * kPage;
  if (end > first + kPage) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#endif
}

}  // namespace ranef
